"""Random controls: does an arm do more than they do, and which of many claims survive?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from mahals.maths.stats.intervals import Floats, Interval, finite, influence_covariance, t_interval
from mahals.maths.stats.rates import gap_of, share_of
from mahals.records import InputError


@dataclass(frozen=True)
class GainOverRandom:
    """An arm minus the mean of its K random controls; higher means more than a random direction."""

    interval: Interval  # 95 %, t with K - 1 degrees of freedom
    p: float  # two-sided, t with K - 1 degrees of freedom
    p_random: float  # (1 + number of random arms >= the arm) / (K + 1); shown only
    n_random: int  # K
    random_mean: float


def gain_over_random(
    arm_estimate: float,
    arm_influence: npt.ArrayLike,
    random_estimates: npt.ArrayLike,
    random_influences: npt.ArrayLike,
    clusters: Sequence[str] | None,
) -> GainOverRandom:
    """Is this arm unlike *a* random one (not only unlike their mean)?

    Shapes: arm_influence (n,), random_estimates (K,), random_influences (K, n), all on the same
    prompts. The variance is s^2 (1 + 1/K), s^2 that over the random arms, plus the jackknife
    variance over prompts of the arm minus the random mean (METHOD 2, controls).
    Raises InputError for K < 2, and where all K are equal while the arm differs.
    """
    own = finite(arm_influence, "arm influence", 1)
    draws = finite(random_estimates, "random arms", 1)
    theirs = finite(random_influences, "random influences", 2)
    k = len(draws)
    if k < 2 or theirs.shape != (k, len(own)):
        raise InputError(
            "random arms",
            expected="at least 2, each with the influence of every prompt",
            got=f"{k} estimates and influences of shape {theirs.shape}",
            cure="raise random_directions",
        )
    mean = float(draws.mean())
    over_prompts = influence_covariance((own - theirs.mean(axis=0))[None, :], clusters)[0, 0]
    error = float(np.sqrt(draws.var(ddof=1) * (1 + 1 / k) + over_prompts))
    gain = float(arm_estimate) - mean
    if error == 0.0 and gain != 0.0:
        raise InputError(
            "gain over random",
            expected="random arms that differ among themselves",
            got=f"{k} arms with the same value",
            cure="use a different seed for each random direction",
        )
    p = 1.0 if gain == 0.0 else float(2 * special.stdtr(k - 1, -abs(gain) / error))
    beaten = (1 + int((draws >= arm_estimate).sum())) / (k + 1)
    return GainOverRandom(t_interval(gain, error, k - 1), p, beaten, k, mean)


def gap_over_random(
    own: npt.ArrayLike,
    random: npt.ArrayLike,
    safe: npt.NDArray[np.bool_],
    clusters: Sequence[str] | None,
) -> GainOverRandom | None:
    """The refusal gap of an arm less the mean gap of K null arms, on the same prompts.

    `own` (m,) and `random` (K, m) say what was refused, `safe` (m,) which prompts are safe. As
    `gain_over_random`, with the variance over prompts in a form that exists where all or none are
    refused (`stats.rates`) and s^2 at least 1/n^2, n the prompts of a label: an arm that is perfect
    beside nulls that do nothing has a number, and an interval inside [-1, 1]. None for K < 2.
    """
    theirs = finite(random, "null arms", 2)
    mine = finite(own, "arm", 1)
    k = len(theirs)
    if k < 2:
        return None
    apart = gap_of(mine - theirs.mean(axis=0), safe, clusters, paired=True)
    gaps = theirs[:, ~safe].mean(axis=1) - theirs[:, safe].mean(axis=1)
    interval = apart.wider(draw_variance(gaps, apart.n), k - 1)
    p = float(2 * special.stdtr(k - 1, -abs(apart.centre) / interval.standard_error))
    gap = float(mine[~safe].mean() - mine[safe].mean())
    beaten = (1 + int((gaps >= gap).sum())) / (k + 1)
    return GainOverRandom(interval, p, beaten, k, float(gaps.mean()))


def share_over_random(
    own: npt.ArrayLike, random: npt.ArrayLike, clusters: Sequence[str] | None
) -> GainOverRandom | None:
    """A share of items under an arm less the mean share under K null arms, on the same items.

    `own` (m,) and `random` (K, m) say which items count. As `gap_over_random`, of one group of
    items: s^2 is at least 1/m^2, and an arm of which all or no item counts has a number and an
    interval inside [-1, 1]. None for K < 2.
    """
    theirs = finite(random, "null arms", 2)
    mine = finite(own, "arm", 1)
    k = len(theirs)
    if k < 2:
        return None
    apart = share_of(mine - theirs.mean(axis=0), clusters, paired=True)
    shares = theirs.mean(axis=1)
    interval = apart.wider(draw_variance(shares, apart.n), k - 1)
    p = float(2 * special.stdtr(k - 1, -abs(apart.centre) / interval.standard_error))
    beaten = (1 + int((shares >= mine.mean()).sum())) / (k + 1)
    return GainOverRandom(interval, p, beaten, k, float(shares.mean()))


def draw_variance(values: npt.ArrayLike, n: int) -> float:
    """s^2 (1 + 1/K): how far one more null arm may lie from the mean of K, as shares of n items.

    s^2 is their variance; where they are skewed upward their upper semivariance, the mean square of
    those above the mean, which is larger: a claim is about that side, and null directions that act
    are few. At least 1/n^2: K arms that are alike by chance do not show that all are.
    """
    found = finite(values, "null arms", 1)
    above = found[found > found.mean()] - found.mean()
    upper = float((above**2).mean()) if len(above) else 0.0
    return max(float(found.var(ddof=1)), upper, 1 / n**2) * (1 + 1 / len(found))


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """The q of each p, in its order: least false discovery rate at which it is claimed.

    Benjamini and Hochberg 1995, step-up, adjusted to be monotone. Raises InputError for a p
    outside [0, 1]; no p gives no q.
    """
    if len(p) == 0:
        return []
    values = finite(np.asarray(p), "p-values", 1)
    if values.min() < 0 or values.max() > 1:
        raise InputError(
            "p-values",
            expected="numbers in [0, 1]",
            got=f"{values.min():g} to {values.max():g}",
            cure="give probabilities",
        )
    order = np.argsort(values)[::-1]
    scaled = values[order] * len(values) / np.arange(len(values), 0, -1)
    q = np.empty_like(values)
    q[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return [float(x) for x in q]


def permutation_p(observed: float, null: npt.ArrayLike) -> float:
    """(1 + #{null >= observed}) / (P + 1): how often chance alone reaches `observed`.

    A null value within 1e-12 of the observed one counts as reaching it (rounding).
    """
    values = finite(null, "permutations", 1)
    reach = observed - 1e-12 * max(1.0, abs(observed))
    return (1 + int((values >= reach).sum())) / (len(values) + 1)


def probability_best(
    estimates: npt.ArrayLike, covariance: npt.ArrayLike, draws: int, seed: int
) -> npt.NDArray[np.float64]:
    """Probability (m,) that each of m statistics is the highest, by normal draws.

    `covariance` (m, m) is the jackknife's (`influence_covariance`). The shares sum to 1; exact
    ties (equal estimates without variance) share a draw.
    """
    centre = finite(estimates, "estimates", 1)
    cov = finite(covariance, "covariance", 2)
    if cov.shape != (len(centre), len(centre)):
        raise InputError(
            "covariance",
            expected=f"shape ({len(centre)}, {len(centre)})",
            got=f"{cov.shape}",
            cure="give one row and column per estimate",
        )
    values, vectors = np.linalg.eigh((cov + cov.T) / 2)
    half = vectors * np.sqrt(np.maximum(values, 0.0))
    noise = np.random.default_rng(seed).standard_normal((draws, len(centre)))
    samples = centre + noise @ half.T
    best = samples >= samples.max(axis=1, keepdims=True)
    return np.asarray((best / best.sum(axis=1, keepdims=True)).mean(axis=0))


ROUNDING = 1e-9  # a spread below this share of the numbers is rounding


def over_random(
    estimate: float,
    influence: Floats,
    random: Sequence[tuple[float, Floats]],
    clusters: Sequence[str] | None,
) -> GainOverRandom | None:
    """Gain over the random arms; None with fewer than two, or where nothing at all varies.

    Nothing varies when all random arms have one value and the arm has their influence (all refused,
    none refused, the same half refused): there is no error to give but that of rounding, here
    anything below 1e-9 of the size of the numbers, and no interval is better than a false one.
    """
    if len(random) < 2:
        return None
    values = np.array([v for v, _ in random])
    influences = np.stack([i for _, i in random])
    apart = influence_covariance((influence - influences.mean(axis=0))[None], clusters)[0, 0]
    size = float(max(np.abs(influences).max(), np.abs(influence).max()))
    alike = np.ptp(values) <= ROUNDING * max(1.0, float(np.abs(values).max()))
    if alike and np.sqrt(apart) <= ROUNDING * size:
        return None
    return gain_over_random(estimate, influence, values, influences, clusters)
