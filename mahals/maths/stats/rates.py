"""Rates: by how much do shares of prompts differ, with an interval that exists at 0 and at 1 too?

A share that is 0 or 1 on all prompts has no spread, and a jackknife gives it an interval of no
width. Here pseudo-observations stand beside the prompts, as Agresti and Caffo (2000) do for two
independent shares and Agresti and Min (2005) for paired ones: an interval's centre moves a little
towards the middle, its width never is 0, and its ends are cut to what a share can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import (
    LEVEL,
    Floats,
    Interval,
    cluster_sums,
    degrees,
    fieller,
    finite,
    student_quantile,
)
from mahals.records import InputError

Flags = npt.NDArray[np.bool_]
PSEUDO = 2.0  # observations that are added to each group


@dataclass(frozen=True)
class Adjusted:
    """A gap with its pseudo-observations: where its interval is centred, and how wide it is."""

    estimate: float  # as counted
    centre: float
    variance: float  # over prompts
    df: int  # clusters, or prompts, less one
    n: int  # prompts of the smaller group

    def interval(self) -> Interval:
        """95 %, over prompts alone; inside [-1, 1] and around the estimate."""
        return self.wider(0.0, self.df)

    def wider(self, variance: float, df: int) -> Interval:
        """95 %, with another source's variance added, by t with `df` degrees of freedom."""
        error = float(np.sqrt(self.variance + variance))
        half = student_quantile(df, 0.5 + LEVEL / 2) * error
        low, high = max(-1.0, self.centre - half), min(1.0, self.centre + half)
        return Interval(self.estimate, min(low, self.estimate), max(high, self.estimate), error)


def gap_of(
    values: npt.ArrayLike, safe: Flags, clusters: Sequence[str] | None, *, paired: bool
) -> Adjusted:
    """Mean over unsafe prompts less mean over safe ones, of one number a prompt.

    `values` (m,) are in [0, 1]: whether one arm refused; with `paired` in [-1, 1]: that of one arm
    less another's, or less the mean of others. `safe` (m,) says which prompts are safe. Clusters
    that hold several prompts widen the interval by as much as they raise the jackknife variance of
    the same gap; they never narrow it. Raises InputError for no safe or no unsafe prompts, and for
    values that no share can have.
    """
    found = _shares(values, paired)
    groups = found[~safe], found[safe]
    if not all(len(g) for g in groups):
        raise InputError(
            "refusal gap",
            expected="safe and unsafe prompts that were answered",
            got=f"{len(groups[1])} safe and {len(groups[0])} unsafe",
            cure="answer prompts of both labels",
        )
    unsafe, harmless = (mean_of(g, -1.0 if paired else 0.0) for g in groups)
    return Adjusted(
        estimate=unsafe.estimate - harmless.estimate,
        centre=unsafe.centre - harmless.centre,
        variance=(unsafe.variance + harmless.variance)
        * _design_effect(_gap_influence(found, safe), clusters),
        df=degrees(len(found), clusters),
        n=min(len(g) for g in groups),
    )


def mean_of(values: npt.ArrayLike, least: float) -> Adjusted:
    """The mean of one number a prompt, all in [least, 1], prompts being independent.

    A share (`least` 0) gets one success and one failure more; a difference (`least` -1) half an
    observation at each end and one at 0.
    """
    found = finite(values, "shares", 1)
    n = len(found) + PSEUDO
    squares = float((found**2).sum()) + 1.0
    total = float(found.sum()) + (1.0 if least == 0 else 0.0)
    centre = total / n
    return Adjusted(
        float(found.mean()), centre, (squares / n - centre**2) / n, len(found) - 1, len(found)
    )


def share_of(values: npt.ArrayLike, clusters: Sequence[str] | None, *, paired: bool) -> Adjusted:
    """The mean of one number an item, of items that are all of one kind.

    `values` (m,) are in [0, 1]; with `paired` in [-1, 1]. Clusters widen as in `gap_of`. Raises
    InputError for values that no share can have.
    """
    found = _shares(values, paired)
    mean = mean_of(found, -1.0 if paired else 0.0)
    effect = _design_effect(found - found.mean(), clusters)
    return replace(mean, variance=mean.variance * effect, df=degrees(len(found), clusters))


def _shares(values: npt.ArrayLike, paired: bool) -> Floats:
    found = finite(values, "shares", 1)
    least = -1.0 if paired else 0.0
    if found.min() < least or found.max() > 1:
        raise InputError(
            "shares",
            expected=f"numbers in [{least:g}, 1]",
            got=f"{found.min():g} to {found.max():g}",
            cure="give one share, or one difference of shares, a prompt",
        )
    return found


@dataclass(frozen=True)
class AdjustedRatio:
    """Two differences of shares with their pseudo-observations, for what one is of the other."""

    estimates: tuple[float, float]  # as counted
    centres: tuple[float, float]
    covariance: Floats  # (2, 2), over prompts
    df: int
    n: int  # prompts of the smaller group

    def interval(self) -> Interval | None:
        """First over second, 95 % Fieller over prompts; None where the second may be 0."""
        return self.wider(0.0, self.df)

    def wider(self, variance: float, df: int) -> Interval | None:
        """The same with another source's variance added to the first, by t with `df` degrees."""
        covariance = self.covariance + np.diag([variance, 0.0])
        found = fieller(*self.centres, covariance, df)
        if found is None or self.estimates[1] == 0:
            return None
        ratio = self.estimates[0] / self.estimates[1]
        return Interval(ratio, min(found.low, ratio), max(found.high, ratio), found.standard_error)


def ratio_of(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    safe: Flags | None,
    clusters: Sequence[str] | None,
    *,
    shared: bool,
) -> AdjustedRatio:
    """What share of one difference another is, each of one number in [-1, 1] a prompt.

    With `safe` (m,) each is a gap, unsafe less safe prompts; None: one share of all. `shared` says
    that both are less the same arm (a regained and a lost share of one damaged model): the two
    pseudo-observations of a group stand for every pattern of the arms alike, so that such an arm
    has its part in their covariance too. Raises InputError as `gap_of`.
    """
    both = np.stack([_shares(first, True), _shares(second, True)])
    groups = [np.ones(both.shape[1], dtype=bool)] if safe is None else [~safe, safe]
    product = 0.5 if shared else 0.0  # of the pseudo-observations, summed: 2 var(fair coin)
    pseudo = np.array([[1.0, product], [product, 1.0]])
    estimates, centres = np.zeros(2), np.zeros(2)
    covariance, influence = np.zeros((2, 2)), np.zeros_like(both)
    for sign, group in zip((1.0, -1.0), groups, strict=False):
        some = both[:, group]
        n, mean = some.shape[1] + PSEUDO, some.mean(axis=1)
        centre = some.sum(axis=1) / n
        estimates, centres = estimates + sign * mean, centres + sign * centre
        covariance += ((some @ some.T + pseudo) / n - np.outer(centre, centre)) / n
        influence[:, group] = sign * (some - mean[:, None]) / some.shape[1]
    effect = max(_design_effect(row, clusters) for row in influence)
    return AdjustedRatio(
        (float(estimates[0]), float(estimates[1])),
        (float(centres[0]), float(centres[1])),
        np.asarray(covariance * effect),
        degrees(both.shape[1], clusters),
        min(int(g.sum()) for g in groups),
    )


def _gap_influence(values: Floats, safe: Flags) -> Floats:
    """(n,) what each prompt adds to a gap, less its group's mean."""
    influence = np.where(safe, -1.0, 1.0) / np.where(safe, safe.sum(), (~safe).sum())
    for group in (safe, ~safe):
        influence[group] *= values[group] - values[group].mean()
    return np.asarray(influence)


def _design_effect(influence: Floats, clusters: Sequence[str] | None) -> float:
    """By how much clusters raise a variance; 1 where they do not, or nothing varies."""
    if clusters is None or len(set(clusters)) == len(influence):
        return 1.0
    alone = float((influence**2).sum())
    together = float((cluster_sums(influence[None], clusters) ** 2).sum())
    return max(1.0, together / alone) if alone > 0 else 1.0
