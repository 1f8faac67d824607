"""Detection: along which direction do states of two models differ on one prompt, and how far?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats, Interval, finite, jackknife_interval, t_interval
from mahals.maths.vectors.estimators import probe_normal
from mahals.maths.vectors.random_directions import balanced_signs, exchanged
from mahals.records import InputError, unknown

Method = Literal["difference_in_means", "linear_probe"]
METHODS: tuple[Method, ...] = ("difference_in_means", "linear_probe")


def unit_direction(method: str, positive: npt.ArrayLike, negative: npt.ArrayLike) -> Floats:
    """A unit vector (d,) from `negative` to `positive`, states (n, d) of the same n prompts.

    `difference_in_means`, or `linear_probe`: the normal of a logistic regression (binary cross
    entropy with L2 weight decay) on standardized states. Raises InputError where the means are
    the same, for fewer than 4 prompts and for an unknown method.
    """
    a, b = finite(positive, "states", 2), finite(negative, "states", 2)
    if a.shape != b.shape or len(a) < 4:
        raise InputError(
            "states",
            expected="both models on the same 4 prompts or more",
            got=f"{a.shape} and {b.shape}",
            cure="ask more questions",
        )
    if method not in METHODS:
        raise unknown("detection method", method, METHODS)
    mean = a.mean(axis=0) - b.mean(axis=0)
    if float(np.linalg.norm(mean)) < 1e-9:
        raise InputError(
            "direction", expected="models that differ", got="equal states", cure="train longer"
        )
    found = mean if method == "difference_in_means" else probe_normal(a, b)
    return np.asarray(found / np.linalg.norm(found))


def shuffled_directions(
    method: str,
    sides: tuple[npt.ArrayLike, npt.ArrayLike],
    categories: Sequence[str],
    draws: int,
    seed: int,
) -> Floats:
    """`draws` unit directions (draws, L, d) by `method` from pairs of which half were exchanged.

    `sides` are the states (n, L, d) of both models on the same n prompts, of these categories (n,).
    Exactly half of the prompts of each category, drawn at random, exchange their sides, so that
    what all of them share cancels (`vectors.balanced_signs`): made as the real direction is, of
    states that no longer say which model is which. All blocks of a draw share one exchange. Raises
    InputError for draws < 1, and where nothing is left.
    """
    a, b = finite(sides[0], "states", 3), finite(sides[1], "states", 3)
    if draws < 1 or a.shape != b.shape or len(categories) != len(a):
        raise InputError(
            "shuffled directions",
            expected="1 or more, of both models on prompts of one category each",
            got=f"{draws}, of {a.shape} and {b.shape}, {len(categories)} categories",
            cure="raise em_detection.shuffles",
        )
    form = "probe" if method == "linear_probe" else method
    rng = np.random.default_rng(seed)
    found = np.stack([exchanged(form, a, b, balanced_signs(categories, rng)) for _ in range(draws)])
    lengths = np.linalg.norm(found, axis=-1, keepdims=True)
    if float(lengths.min()) < 1e-9:
        raise InputError(
            "shuffled directions",
            expected="prompts on which the models differ in more than what all prompts share",
            got="a direction of length 0",
            cure="ask more questions (em_finetune.per_group)",
        )
    return np.asarray(found / lengths)


def separation(positive: Floats, negative: Floats, clusters: Sequence[str]) -> Interval:
    """Mean projection of `positive` minus that of `negative`, (n,) each, prompts paired.

    In the states' own unit. On the prompts that a difference in means was fitted on this is the
    length of that difference by construction (the published form).
    """
    difference = finite(positive, "projections", 1) - finite(negative, "projections", 1)
    centre = float(difference.mean())
    return jackknife_interval(difference - centre, centre, clusters)


def auroc(positive: Floats, negative: Floats, clusters: Sequence[str]) -> Interval:
    """AUROC of projections (n,) of two models on the same n prompts, ties count half.

    95 % delete-one-prompt jackknife (both models' values of a prompt leave together), summed
    within clusters. Raises InputError for unequal numbers.
    """
    a, b = finite(positive, "projections", 1), finite(negative, "projections", 1)
    n = len(a)
    if len(b) != n or n < 3:
        raise InputError(
            "AUROC", expected="the same 3 prompts or more", got=f"{n} and {len(b)}", cure="pair"
        )
    above = np.sign(a[:, None] - b[None, :]) / 2 + 0.5
    whole = float(above.mean())
    own = above.sum(axis=0) + above.sum(axis=1) - np.diag(above)
    without = (above.sum() - own) / (n - 1) ** 2
    influence = (n - 1) * (without.mean() - without)
    return _within(jackknife_interval(influence, whole, clusters))


def _within(i: Interval) -> Interval:
    """An AUROC's interval cut to [0, 1]."""
    return replace(i, low=max(i.low, 0.0), high=min(i.high, 1.0))


def auroc_of_two(positive: Floats, negative: Floats) -> Interval:
    """AUROC of two groups of different prompts, (m,) and (n,); 95 % by DeLong et al. (1988).

    Raises InputError for fewer than 2 of either.
    """
    a, b = finite(positive, "scores", 1), finite(negative, "scores", 1)
    if min(len(a), len(b)) < 2:
        raise InputError(
            "AUROC", expected="2 of each group", got=f"{len(a)} and {len(b)}", cure="ask more"
        )
    above = np.sign(a[:, None] - b[None, :]) / 2 + 0.5
    rows, columns = above.mean(axis=1), above.mean(axis=0)
    variance = rows.var(ddof=1) / len(a) + columns.var(ddof=1) / len(b)
    df = min(len(a), len(b)) - 1
    return _within(t_interval(float(above.mean()), float(np.sqrt(variance)), df))


def two_halves(clusters: Sequence[str]) -> npt.NDArray[np.bool_]:
    """True for the half (n,) that directions are fitted on; no cluster is in both halves.

    Clusters are dealt in the order of their first prompt, each to the half that has fewer prompts.
    """
    size: dict[str, int] = {}
    for c in clusters:
        size[c] = size.get(c, 0) + 1
    fitted: dict[str, bool] = {}
    more = 0  # prompts that are fitted, less those that are not
    for c, n in size.items():
        fitted[c] = more <= 0
        more += n if fitted[c] else -n
    return np.array([fitted[c] for c in clusters])
