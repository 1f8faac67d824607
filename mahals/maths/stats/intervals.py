"""Intervals: how far can a number be from the truth, given each prompt's influence on it?

An *influence* of prompt i on a statistic theta is (n - 1) (mean of theta_(-j) - theta_(-i)), where
theta_(-i) leaves i out: the jackknife's pseudo-value less its mean. Their sum is 0, and
theta's variance is sum(influence^2) / (n (n - 1)) (Efron and Stein 1981). Where prompts come in
strata of given size k (a label of an axiom), the mean is over the own stratum and the factor is
sqrt(n (n - 1) (k - 1) / k): the same sum is then the variance of the stratified jackknife.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from mahals.records import InputError

Floats = npt.NDArray[np.float64]
LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with the interval that holds the truth in `level` of all repetitions."""

    estimate: float
    low: float
    high: float
    standard_error: float
    level: float = LEVEL

    def __format__(self, spec: str) -> str:
        """The estimate and both ends, each by `spec`: "+.12 [+.03, +.21]" for "+.2f"."""
        return f"{self.estimate:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def finite(values: npt.ArrayLike, what: str, ndim: int) -> Floats:
    """`values` as float64 with `ndim` axes. Raises InputError when empty, nan, inf or misshapen."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim or array.size == 0:
        raise InputError(
            what,
            expected=f"a non-empty array with {ndim} axes",
            got=f"shape {array.shape}",
            cure="give one value per prompt and arm",
        )
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise InputError(
            what,
            expected="finite numbers",
            got=f"{bad} that are nan or infinite, of {array.size}",
            cure="look for an overflow where they were made (float16?); never fill them in",
        )
    return array


def student_quantile(df: float, probability: float) -> float:
    """The quantile of Student's t with `df` degrees of freedom."""
    return float(special.stdtrit(df, probability))


def t_interval(estimate: float, standard_error: float, df: float) -> Interval:
    """`estimate` +- t(df) `standard_error`, 95 %."""
    half = student_quantile(df, 0.5 + LEVEL / 2) * standard_error
    return Interval(float(estimate), float(estimate - half), float(estimate + half), standard_error)


def p_of_zero(interval: Interval) -> float | None:
    """Two-sided p of "the truth is 0", by the t that the interval was made with.

    Its degrees of freedom are those at which t times the standard error is half its width. None
    where it was not made so: it is not symmetric, has no width, or is narrower than any t.
    """
    below, above = interval.estimate - interval.low, interval.high - interval.estimate
    error, tail = interval.standard_error, 0.5 + interval.level / 2
    if not error > 0 or abs(above - below) > 1e-6 * (above + below):
        return None
    t = (above + below) / (2 * error)
    if t < special.ndtri(tail) * (1 - 1e-6):
        return None
    return float(2 * special.stdtr(special.stdtridf(tail, t), -abs(interval.estimate) / error))


def cluster_sums(influences: Floats, clusters: Sequence[str] | None) -> Floats:
    """(m, n) influences summed within clusters: (m, G), centred. Raises InputError if G < 2."""
    n = influences.shape[1]
    if clusters is None:
        sums = influences
    else:
        if len(clusters) != n:
            raise InputError(
                "clusters",
                expected=f"one name for each of {n} prompts",
                got=f"{len(clusters)}",
                cure="give the clusters in the order of the prompts",
            )
        names, index = np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)
        member = np.zeros((n, len(names)))
        member[np.arange(n), index] = 1.0
        sums = influences @ member
    if sums.shape[1] < 2:
        raise InputError(
            "interval",
            expected="at least 2 prompts or clusters",
            got=f"{sums.shape[1]}",
            cure="measure more prompts, or prompts of more clusters",
        )
    return np.asarray(sums - sums.mean(axis=1, keepdims=True))


def influence_covariance(influences: npt.ArrayLike, clusters: Sequence[str] | None) -> Floats:
    """Jackknife covariance (m, m) of m statistics measured on the same n prompts.

    `influences` is (m, n). With clusters the influences are summed within them:
    G/(G-1) sum_g S_g S_g' / n^2, which for clusters of one is the delete-one jackknife.
    """
    values = finite(influences, "influences", 2)
    sums = cluster_sums(values, clusters)
    groups = sums.shape[1]
    return np.asarray(sums @ sums.T * (groups / (groups - 1)) / values.shape[1] ** 2)


def degrees(n: int, clusters: Sequence[str] | None) -> int:
    """Degrees of freedom of a jackknife: prompts less one, or clusters less one."""
    return (n if clusters is None else len(set(clusters))) - 1


def jackknife_interval(
    influence: npt.ArrayLike, estimate: float, clusters: Sequence[str] | None
) -> Interval:
    """95 % jackknife interval of `estimate`: +- t times the jackknife standard error.

    `influence` is (n,), in the unit of the estimate; the degrees of freedom are n - 1, or
    clusters - 1. Raises InputError for fewer than 2 prompts or clusters, and for nan.
    """
    values = finite(influence, "influence", 1)
    variance = influence_covariance(values[None, :], clusters)[0, 0]
    return t_interval(estimate, float(np.sqrt(variance)), degrees(len(values), clusters))


def paired_difference(
    influence_a: npt.ArrayLike,
    influence_b: npt.ArrayLike,
    estimate_a: float,
    estimate_b: float,
    clusters: Sequence[str] | None,
) -> Interval:
    """95 % interval of a - b, both measured on the same prompts in the same order."""
    a, b = finite(influence_a, "influence", 1), finite(influence_b, "influence", 1)
    if a.shape != b.shape:
        raise InputError(
            "paired difference",
            expected="both measured on the same prompts",
            got=f"{len(a)} and {len(b)} prompts",
            cure="measure both arms on one set of prompts",
        )
    return jackknife_interval(a - b, estimate_a - estimate_b, clusters)


def wilson(successes: int, n: int) -> Interval:
    """95 % Wilson score interval of a rate (Wilson 1927); `estimate` is successes / n."""
    if n < 1 or not 0 <= successes <= n:
        raise InputError(
            "rate",
            expected="0 <= successes <= n and n >= 1",
            got=f"{successes} of {n}",
            cure="leave the rate absent where nothing was counted",
        )
    z = float(special.ndtri(0.5 + LEVEL / 2))
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else float(centre - half)
    high = 1.0 if successes == n else float(centre + half)
    return Interval(rate, low, high, float(np.sqrt(rate * (1 - rate) / n)))


def fieller(
    numerator: float, denominator: float, covariance: npt.ArrayLike, df: float
) -> Interval | None:
    """95 % Fieller interval of numerator / denominator; None where the denominator may be 0.

    `covariance` (2, 2) is that of the two estimates, `df` the degrees of freedom of t. The
    standard error is by the delta method. None means: the denominator's own 95 % interval
    holds 0, the ratio is not to be reported (Fieller 1954).
    """
    cov = finite(covariance, "covariance", 2)
    t = student_quantile(df, 0.5 + LEVEL / 2)
    a = denominator**2 - t * t * cov[1, 1]
    if a <= 0:
        return None
    b = numerator * denominator - t * t * cov[0, 1]
    c = numerator**2 - t * t * cov[0, 0]
    root = float(np.sqrt(max(b * b - a * c, 0.0)))
    ratio = numerator / denominator
    variance = cov[0, 0] - 2 * ratio * cov[0, 1] + ratio**2 * cov[1, 1]
    error = float(np.sqrt(max(float(variance), 0.0)) / abs(denominator))
    return Interval(float(ratio), float((b - root) / a), float((b + root) / a), error)
