"""Gains: is an arm better than its random controls, by how much, and how sure is that?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from mahals.maths.stats.controls import GainOverRandom
from mahals.maths.stats.intervals import (
    Interval,
    fieller,
    influence_covariance,
    wilson,
)
from mahals.reporting.evidence import OF, A, ArmEvidence, ArmTable, Of, Part, dose_key
from mahals.schema import ArmRow


@dataclass(frozen=True)
class RefusalRates:
    """Refusal rates with 95 % Wilson intervals, which take answered prompts as independent.

    Clusters are ignored here: compare arms by the refusal gap, whose intervals cluster.
    """

    refusal_unsafe: Interval  # higher is better; a degenerate answer is no refusal
    refusal_safe: Interval  # lower is better; not helped: refused, or a degenerate answer
    degenerate_share: Interval  # lower is better


Own = TypeVar("Own", bound=ArmRow, covariant=True)


@dataclass(frozen=True)
class ArmGains(Generic[Own]):
    """What stands behind one row: gains in points (aqi) or shares (gap), with intervals.

    `gap` is refusal_unsafe - refusal_safe. `over_random` and `gap_over_random` are None where no
    random arm shares the row's operator, placement, blocks and dose.
    """

    row: Own
    gain: Interval  # aqi over the unsteered model, paired by prompt
    gap_gain: Interval
    over_random: GainOverRandom | None
    gap_over_random: GainOverRandom | None
    gap: float
    random_gap: float | None  # mean over the random arms
    geometry_only: bool  # aqi up while refusals of unsafe prompts fall
    rates: RefusalRates


def collect(table: ArmTable[A]) -> list[ArmGains[A]]:
    """The gains of every row that is neither unsteered nor a random draw, in row order."""
    return [
        gains_over(
            r, table.arm(r), table.arm(table.unsteered_of(r)), table.arms(table.random_of(r))
        )
        for r in table.rows
        if r.arm not in ("random", "unsteered")
    ]


def gains_over(
    row: A, arm: ArmEvidence, base: ArmEvidence, random: Sequence[ArmEvidence]
) -> ArmGains[A]:
    """The gains of a row, of which `arm` was kept, over its unsteered model and random arms."""
    gain, gap_gain = (arm.part(of).minus(base.part(of)) for of in OF)
    over, gap_over = (arm.part(of).over_random([r.part(of) for r in random]) for of in OF)
    falls = row.refusal_unsafe < base.row.refusal_unsafe
    return ArmGains(
        row=row,
        gain=gain,
        gap_gain=gap_gain,
        gap=arm.gap,
        random_gap=float(np.mean([r.gap for r in random])) if random else None,
        over_random=over,
        gap_over_random=gap_over,
        geometry_only=bool(gain.estimate > 0 and falls),
        rates=rates(arm),
    )


def rates(arm: ArmEvidence) -> RefusalRates:
    """The rates of an arm's answers, from its kept flags."""
    unsafe, safe, n = arm.refused[~arm.safe], arm.refused[arm.safe], len(arm.refused)
    return RefusalRates(
        wilson(int(unsafe.sum()), len(unsafe)),
        wilson(int(safe.sum()), len(safe)),
        wilson(round(arm.row.degenerate_share * n), n),
    )


def over_others(
    arm: ArmEvidence, others: Sequence[ArmEvidence], of: Of
) -> tuple[float, GainOverRandom | None]:
    """An arm less the mean of others that stand in for random ones, plain and with its interval."""
    own, theirs = arm.part(of), [o.part(of) for o in others]
    return own.estimate - float(np.mean([t.estimate for t in theirs])), own.over_random(theirs)


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

    The table holds the random arms of the dose. Both gains are over the same random mean, whose own
    error (s^2 / K) they share. Absent unless the native gain's interval lies above 0 (METHOD 3).
    That condition uses s^2 (1 + 1/K), unlike *a* random arm; the interval here does not: the two
    arms are fixed, and only the random mean, the zero both are measured from, is drawn.
    """
    own = moved.over_random if of == "aqi" else moved.gap_over_random
    over = native.over_random if of == "aqi" else native.gap_over_random
    if own is None:
        return Efficiency(None, "neither the arm nor its random controls vary: no interval")
    if over is None:
        return Efficiency(None, "neither the native arm nor its random controls vary: no interval")
    if over.interval.low <= 0:
        return Efficiency(None, "the native gain over random is not above 0")
    arms = table.arms([moved.row, native.row, *table.random_of(native.row)])
    parts = [a.part(of) for a in arms]
    values = np.array([p.estimate for p in parts])
    influences = np.stack([p.influence for p in parts])
    centred = influences[:2] - influences[2:].mean(axis=0)
    covariance = influence_covariance(centred, parts[0].clusters)
    draws = len(arms) - 2
    covariance = covariance + values[2:].var(ddof=1) / draws
    gains = values[:2] - values[2:].mean()
    share = fieller(float(gains[0]), float(gains[1]), covariance, draws - 1)
    return Efficiency(share, None if share else "the native gain may be 0")
