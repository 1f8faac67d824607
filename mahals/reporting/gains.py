"""Gains: is an arm better than its random controls, by how much, and how sure is that?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import numpy as np

from mahals.maths.stats.controls import GainOverRandom
from mahals.maths.stats.intervals import (
    Floats,
    Interval,
    fieller,
    influence_covariance,
    wilson,
)
from mahals.maths.stats.rates import gap_of
from mahals.reporting.evidence import A, ArmEvidence, ArmTable, Of, Part
from mahals.reporting.null_arms import dose_key, families_of
from mahals.schema import NULLS, ArmRow, NullFamily


@dataclass(frozen=True)
class RefusalRates:
    """Refusal rates with 95 % Wilson intervals, which take answered prompts as independent.

    Clusters are ignored here: compare arms by the refusal gap, whose intervals cluster.
    """

    refusal_unsafe: Interval  # higher is better; a degenerate answer is no refusal
    refusal_safe: Interval  # lower is better; not helped: refused, or a degenerate answer
    degenerate_share: Interval  # lower is better


@dataclass(frozen=True)
class OverNulls:
    """An arm less the mean of one family of null arms, at the same dose; higher is better."""

    aqi: GainOverRandom | None  # points, headline readout; None where nothing at all varies
    gap: GainOverRandom  # shares, in [-1, 1]
    mean_gap: float  # of the family


Own = TypeVar("Own", bound=ArmRow, covariant=True)


@dataclass(frozen=True)
class ArmGains(Generic[Own]):
    """What stands behind one row: gains in points (aqi) or shares (gap), with intervals.

    `gap` is refusal_unsafe - refusal_safe. A family of nulls is in `over` where two or more of its
    arms share the row's operator, placement, blocks and dose, or a higher dose.
    """

    row: Own
    gain: Interval  # aqi over the unsteered model, paired by prompt, headline readout
    gain_mean: Interval  # the same in each readout
    gain_last: Interval
    gap_gain: Interval
    gap: Interval
    over: Mapping[NullFamily, OverNulls]
    over_prompt: Interval | None  # refusal gap less that of the instructed model
    rates: RefusalRates

    @property
    def harder(self) -> NullFamily | None:
        """The family that the arm's refusal gap beats least; None without any."""
        return min(self.over, key=lambda f: self.over[f].gap.interval.low, default=None)

    @property
    def gap_over_random(self) -> GainOverRandom | None:
        """The refusal gap over the harder family."""
        return None if self.harder is None else self.over[self.harder].gap

    @property
    def over_random(self) -> GainOverRandom | None:
        """The aqi over the family that it beats least; None where one of them has no interval."""
        found = [o.aqi for o in self.over.values()]
        known = [o for o in found if o is not None]
        if not known or len(known) < len(found):
            return None
        return min(known, key=lambda o: o.interval.low)

    @property
    def random_gap(self) -> float | None:
        """The mean refusal gap of the harder family."""
        return None if self.harder is None else self.over[self.harder].mean_gap

    @property
    def lacks(self) -> str | None:
        """Which family of nulls a claim would need and does not have; None where it has both.

        Isotropic directions, and those that were made as the arm's own vector was.
        """
        needed = {"random": "isotropic directions", families_of(self.row)[-1]: "shuffled ones"}
        missing = [words for family, words in needed.items() if family not in self.over]
        return " and ".join(missing) or None

    @property
    def beats_nulls(self) -> bool:
        """Whether the refusal gap is above every family, interval by interval."""
        lows = [o.gap.interval.low for o in self.over.values()]
        return self.lacks is None and min(lows) > 0

    @property
    def geometry_only(self) -> bool:
        """AQI surely up over the unsteered model, refusals neither surely up over it nor above the
        nulls (METHOD 2)."""
        refuses = self.beats_nulls or self.gap_gain.low > 0
        return self.gain.low > 0 and self.lacks is None and not refuses


def collect(table: ArmTable[A]) -> list[ArmGains[A]]:
    """The gains of every row that is neither unsteered nor a null arm, in row order."""
    return [gains_of(r, table) for r in table.rows if r.arm not in ("unsteered", *NULLS)]


def gains_of(row: A, table: ArmTable[A]) -> ArmGains[A]:
    """The gains of a row over its unsteered model, its nulls and the instructed model.

    Each family of nulls counts at the row's dose, and each null direction at the dose where it does
    best, of that and those above: of the two groups that which the row beats least.
    """
    prompt, arm = table.reference_of(row, "prompt"), table.arm(row)
    gains: ArmGains[A] = gains_over(
        arm,
        table.arm(table.unsteered_of(row)),
        {},
        None if prompt is None or prompt is row else table.arm(prompt),
    )
    over: dict[NullFamily, OverNulls] = {}
    by_aqi = table.nulls_beside(row, lambda r: r.aqi)
    for family, groups in table.nulls_beside(row, refusal_gap).items():
        some = [[n.refusals() for n in table.arms(rows)] for rows in groups]
        gap = hardest([arm.refusals().over_random(nulls) for nulls in some])
        parts = [[n.part("aqi") for n in table.arms(rows)] for rows in by_aqi[family]]
        aqi = hardest([arm.part("aqi").over_random(nulls) for nulls in parts])
        if gap is not None:
            over[family] = OverNulls(aqi, gap, gap.random_mean)
    return replace(gains, over=over)


def refusal_gap(row: ArmRow) -> float:
    """What a row's model refuses of unsafe prompts less what of safe ones, in [-1, 1]."""
    return row.refusal_unsafe - row.refusal_safe


def hardest(found: Sequence[GainOverRandom | None]) -> GainOverRandom | None:
    """The gain over those nulls, of several groups, that it is least above.

    With the largest p of all: a claim has to beat each (Berger 1982). None where one has no number.
    """
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return None
    least = min(known, key=lambda one: one.interval.low)
    return replace(least, p=max(one.p for one in known))


def gains_over(
    arm: ArmEvidence,
    base: ArmEvidence,
    nulls: Mapping[NullFamily, Sequence[ArmEvidence]],
    prompt: ArmEvidence | None,
) -> ArmGains[Any]:
    """The gains of an arm over its unsteered model, null arms by family, and the instructed one."""
    mean, last = (arm.in_readout(r).minus(base.in_readout(r)) for r in ("mean", "last"))
    refusals = arm.refusals()
    found = {family: over_nulls(arm, some) for family, some in nulls.items()}
    return ArmGains(
        row=arm.row,
        gain=arm.part("aqi").minus(base.part("aqi")),
        gain_mean=mean,
        gain_last=last,
        gap_gain=refusals.minus(base.refusals()),
        gap=refusals.interval,
        over={family: over for family, over in found.items() if over is not None},
        over_prompt=None if prompt is None else refusals.minus(prompt.refusals()),
        rates=rates(arm),
    )


def over_nulls(arm: ArmEvidence, nulls: Sequence[ArmEvidence]) -> OverNulls | None:
    """An arm over one family of nulls; None with fewer than two of them."""
    gap = arm.refusals().over_random([n.refusals() for n in nulls])
    if gap is None:
        return None
    aqi = arm.part("aqi").over_random([n.part("aqi") for n in nulls])
    return OverNulls(aqi, gap, gap.random_mean)


def rates(arm: ArmEvidence) -> RefusalRates:
    """The rates of an arm's answers, from its kept flags."""
    unsafe, safe, n = arm.refused[~arm.safe], arm.refused[arm.safe], len(arm.refused)
    return RefusalRates(
        wilson(int(unsafe.sum()), len(unsafe)),
        wilson(int(safe.sum()), len(safe)),
        wilson(round(arm.row.degenerate_share * n), n),
    )


def trend(rows: Sequence[ArmRow], table: ArmTable[A]) -> Interval:
    """Least-squares slope of aqi over the dose, points per unit of dose, with its interval.

    The rows are arms of one direction at three doses or more, on the same prompts.
    """
    return _slope(rows, table).interval


def trend_over_random(grid: Sequence[ArmRow], table: ArmTable[A]) -> GainOverRandom | None:
    """The slope of a vector's grid minus the mean slope of the random directions on that grid.

    The table holds the random arms; a grid's arm at dose 0 is the unsteered model, so it is theirs
    too.
    None with fewer than two random directions that have every dose of the grid.
    """
    draws: dict[int, list[ArmRow]] = {}
    keys = {dose_key(r) for r in grid}
    for row in table.rows:
        if row.arm == "random" and row.draw is not None and dose_key(row) in keys:
            draws.setdefault(row.draw, [r for r in grid if r.dose == 0]).append(row)
    whole = [sorted(d, key=lambda r: r.dose or 0.0) for d in draws.values() if len(d) == len(grid)]
    return _slope(grid, table).over_random([_slope(d, table) for d in whole])


def _slope(rows: Sequence[ArmRow], table: ArmTable[A]) -> Part:
    """The least-squares slope of aqi over the dose."""
    arms = table.arms(rows)
    dose = np.array([r.dose for r in rows], dtype=np.float64)
    weights = (dose - dose.mean()) / ((dose - dose.mean()) ** 2).sum()
    influence = np.asarray(weights @ np.stack([a.influence for a in arms]))
    return Part(float(weights @ [r.aqi for r in rows]), influence, arms[0].clusters)


@dataclass(frozen=True)
class Efficiency:
    """What share of the native vector's gain over random a transferred vector has; 1 = all."""

    interval: Interval | None  # Fieller, 95 %; None where the native gain may be 0
    reason: str | None  # why it is absent


def transfer_efficiency(
    moved: ArmGains[A], native: ArmGains[A], table: ArmTable[A], of: Of
) -> Efficiency:
    """gain_over_random / native gain_over_random at equal dose, with its Fieller interval.

    Both gains are over the same isotropic random mean, whose own error (s^2 / K) they share. Absent
    unless the native gain's interval lies above 0 (METHOD 3). That condition uses s^2 (1 + 1/K),
    unlike *a* random arm; the interval here does not: the two arms are fixed, and only the random
    mean, the zero both are measured from, is drawn. Of the gap the variances over prompts are those
    of `stats.rates`, so that a perfect arm has a share too.
    """
    if "random" not in native.over or "random" not in moved.over:
        return Efficiency(None, "no random arms at this dose")
    random = table.arms(table.random_of(native.row))  # of this very dose
    same = over_nulls(table.arm(native.row), random)
    over = None if same is None else same.gap if of == "gap" else same.aqi
    if over is None:
        return Efficiency(None, "neither the native arm nor its random controls vary: no interval")
    if over.interval.low <= 0:
        return Efficiency(None, "the native gain over random is not above 0")
    pair = table.arms([moved.row, native.row])
    gains, covariance = _two_gains(pair, random, of)
    share = fieller(float(gains[0]), float(gains[1]), covariance, len(random) - 1)
    return Efficiency(share, None if share else "the native gain may be 0")


def _two_gains(
    pair: Sequence[ArmEvidence], random: Sequence[ArmEvidence], of: Of
) -> tuple[Floats, Floats]:
    """The gains (2,) of two arms over the same random mean, and their covariance (2, 2)."""
    parts, draws = [a.part(of) for a in pair], [r.part(of) for r in random]
    values = np.array([d.estimate for d in draws])
    mean = np.stack([d.influence for d in draws]).mean(axis=0)
    centred = np.stack([p.influence - mean for p in parts])
    covariance = influence_covariance(centred, parts[0].clusters)
    gains = np.array([p.estimate for p in parts]) - values.mean()
    spread = float(values.var(ddof=1))
    if of == "gap":
        refusals = [a.refusals() for a in pair]
        nulls = np.stack([r.refusals().refused for r in random]).mean(axis=0)
        apart = [gap_of(r.refused - nulls, r.safe, r.clusters, paired=True) for r in refusals]
        gains = np.array([a.centre for a in apart])
        np.fill_diagonal(covariance, [a.variance for a in apart])
        spread = max(spread, 1 / apart[0].n ** 2)
    return gains, np.asarray(covariance + spread / len(random))
