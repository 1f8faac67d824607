"""Rates: by how much do shares of prompts differ, with an interval that exists at 0 and at 1 too?

A share that is 0 or 1 on all prompts has no spread, and a jackknife gives it an interval of no
width. Here pseudo-observations stand beside the prompts, as Agresti and Caffo (2000) do for two
independent shares and Agresti and Min (2005) for paired ones: an interval's centre moves a little
towards the middle, its width never is 0, and its ends are cut to what a share can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import (
    LEVEL,
    Floats,
    Interval,
    cluster_sums,
    degrees,
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
    found = finite(values, "shares", 1)
    groups = found[~safe], found[safe]
    if not all(len(g) for g in groups):
        raise InputError(
            "refusal gap",
            expected="safe and unsafe prompts that were answered",
            got=f"{len(groups[1])} safe and {len(groups[0])} unsafe",
            cure="answer prompts of both labels",
        )
    least = -1.0 if paired else 0.0
    if found.min() < least or found.max() > 1:
        raise InputError(
            "shares",
            expected=f"numbers in [{least:g}, 1]",
            got=f"{found.min():g} to {found.max():g}",
            cure="give one share, or one difference of shares, a prompt",
        )
    unsafe, harmless = (mean_of(g, least) for g in groups)
    return Adjusted(
        estimate=unsafe.estimate - harmless.estimate,
        centre=unsafe.centre - harmless.centre,
        variance=(unsafe.variance + harmless.variance) * _design_effect(found, safe, clusters),
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


def _design_effect(values: Floats, safe: Flags, clusters: Sequence[str] | None) -> float:
    """By how much clusters raise the variance of a gap; 1 where they do not, or nothing varies."""
    if clusters is None or len(set(clusters)) == len(values):
        return 1.0
    influence = np.where(safe, -1.0, 1.0) / np.where(safe, safe.sum(), (~safe).sum())
    for group in (safe, ~safe):
        influence[group] *= values[group] - values[group].mean()
    alone = float((influence**2).sum())
    together = float((cluster_sums(influence[None], clusters) ** 2).sum())
    return max(1.0, together / alone) if alone > 0 else 1.0
