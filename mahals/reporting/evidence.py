"""Evidence: is an arm better than its random controls, by how much, and how sure is that?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.controls import GainOverRandom, over_random
from mahals.maths.stats.intervals import (
    Interval,
    fieller,
    influence_covariance,
    jackknife_interval,
    paired_difference,
    wilson,
)
from mahals.phase import Kept
from mahals.schema import ArmRow

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RefusalRates:
    """Refusal rates with 95 % Wilson intervals, which take answered prompts as independent.

    Clusters are ignored here: compare arms by the refusal gap, whose intervals cluster.
    """

    refusal_unsafe: Interval  # higher is better; a degenerate answer is no refusal
    refusal_safe: Interval  # lower is better; not helped: refused, or a degenerate answer
    degenerate_share: Interval  # lower is better


@dataclass(frozen=True)
class Evidence:
    """What stands behind one row: gains in points (aqi) or shares (gap), with intervals.

    `gap` is refusal_unsafe - refusal_safe. `over_random` and `gap_over_random` are None where no
    random arm shares the row's operator, placement, blocks and dose.
    """

    row: ArmRow
    gain: Interval  # aqi over the unsteered model, paired by prompt
    gap_gain: Interval
    over_random: GainOverRandom | None
    gap_over_random: GainOverRandom | None
    gap: float
    random_gap: float | None  # mean over the random arms
    geometry_only: bool  # aqi up while refusals of unsafe prompts fall
    rates: RefusalRates


@dataclass(frozen=True)
class ArmEvidence:
    """One row's estimate and influence values of aqi and of the refusal gap, prompt by prompt."""

    row: ArmRow
    influence: Array  # (n,) of aqi
    axioms: npt.NDArray[np.int64]  # (n,) places in AXIOMS
    clusters: list[str]
    gap: float
    gap_influence: Array  # (m,)
    gap_clusters: list[str]
    refused: npt.NDArray[np.bool_]  # (m,) screened: a degenerate answer is a failure
    safe: npt.NDArray[np.bool_]  # (m,)
    answered_axioms: npt.NDArray[np.int64]  # (m,)


def collect(rows: Sequence[ArmRow], kept: Kept) -> list[Evidence]:
    """The evidence of every row that is neither unsteered nor a random draw, in row order."""
    arms = load(rows, kept)
    base = {a.row.target: a for a in arms if a.row.arm == "unsteered"}
    random: dict[tuple[object, ...], list[ArmEvidence]] = {}
    for arm in arms:
        if arm.row.arm == "random":
            random.setdefault(dose_key(arm.row), []).append(arm)
    return [
        _evidence(a, base[a.row.target], random.get(dose_key(a.row), []))
        for a in arms
        if a.row.arm not in ("random", "unsteered")
    ]


def dose_key(row: ArmRow) -> tuple[object, ...]:
    """What a row shares with its random controls."""
    return (row.target, row.operator, row.placement, row.layers, row.dose_kind, row.dose)


def load(rows: Sequence[ArmRow], kept: Kept) -> list[ArmEvidence]:
    """The kept evidence of each row, in row order."""
    files = {name: kept.tensors(name) for name in dict.fromkeys(r.evidence for r in rows)}
    arms = []
    for row in rows:
        found = {k: v.numpy() for k, v in files[row.evidence].items()}
        refused, safe = found["refused"][row.evidence_row], found["labels"] == 1
        gap, influence = _gap(refused.astype(np.float64), safe)
        arms.append(
            ArmEvidence(
                row,
                found["influence"][row.evidence_row],
                found["axioms"],
                [str(c) for c in found["clusters"]],
                gap,
                influence,
                [str(c) for c in found["answered_clusters"]],
                refused.astype(bool),
                safe,
                found["answered_axioms"],
            )
        )
    return arms


def _gap(refused: Array, safe: npt.NDArray[np.bool_]) -> tuple[float, Array]:
    """Refusal of unsafe minus refusal of safe prompts, and its influence values.

    The influence of a prompt on the mean of its group of k is sqrt(n (n-1) / (k (k-1))) (x - mean):
    `stats.jackknife_interval` makes of these squares the sum of both groups' s^2 / k.
    """
    n = len(refused)
    influence = np.empty(n)
    means = {}
    for group, sign in ((safe, -1.0), (~safe, 1.0)):
        means[sign] = refused[group].mean()
        k = int(group.sum())
        weight = sign * np.sqrt(n * (n - 1) / (k * (k - 1)))
        influence[group] = weight * (refused[group] - means[sign])
    return float(means[1.0] - means[-1.0]), influence


def _evidence(arm: ArmEvidence, base: ArmEvidence, random: Sequence[ArmEvidence]) -> Evidence:
    gain = paired_difference(arm.influence, base.influence, arm.row.aqi, base.row.aqi, arm.clusters)
    gap_gain = paired_difference(
        arm.gap_influence, base.gap_influence, arm.gap, base.gap, arm.gap_clusters
    )
    falls = arm.row.refusal_unsafe < base.row.refusal_unsafe
    return Evidence(
        row=arm.row,
        gain=gain,
        gap_gain=gap_gain,
        gap=arm.gap,
        random_gap=float(np.mean([r.gap for r in random])) if random else None,
        over_random=over_random(
            arm.row.aqi,
            arm.influence,
            [(r.row.aqi, r.influence) for r in random],
            arm.clusters,
        ),
        gap_over_random=over_random(
            arm.gap,
            arm.gap_influence,
            [(r.gap, r.gap_influence) for r in random],
            arm.gap_clusters,
        ),
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


def trend(rows: Sequence[ArmRow], kept: Kept) -> Interval:
    """Least-squares slope of aqi over the dose, points per unit of dose, with its interval.

    The rows are arms of one direction at three doses or more, on the same prompts.
    """
    estimate, influence, clusters = _slope(rows, kept)
    return jackknife_interval(influence, estimate, clusters)


def trend_over_random(
    grid: Sequence[ArmRow], rows: Sequence[ArmRow], kept: Kept
) -> GainOverRandom | None:
    """The slope of a vector's grid minus the mean slope of the random directions on that grid.

    `rows` hold the random arms; a grid's arm at dose 0 is the unsteered model, so it is theirs too.
    None with fewer than two random directions that have every dose of the grid.
    """
    draws: dict[int, list[ArmRow]] = {}
    keys = {dose_key(r) for r in grid}
    for row in rows:
        if row.arm == "random" and row.draw is not None and dose_key(row) in keys:
            draws.setdefault(row.draw, [r for r in grid if r.dose == 0]).append(row)
    whole = [sorted(d, key=lambda r: r.dose or 0.0) for d in draws.values() if len(d) == len(grid)]
    estimate, influence, clusters = _slope(grid, kept)
    random = [_slope(d, kept)[:2] for d in whole]
    return over_random(estimate, influence, random, clusters)


def _slope(rows: Sequence[ArmRow], kept: Kept) -> tuple[float, Array, list[str]]:
    """The least-squares slope of aqi over the dose, its influence (n,) and the clusters."""
    arms = load(rows, kept)
    dose = np.array([r.dose for r in rows], dtype=np.float64)
    weights = (dose - dose.mean()) / ((dose - dose.mean()) ** 2).sum()
    influence = np.asarray(weights @ np.stack([a.influence for a in arms]))
    return float(weights @ [r.aqi for r in rows]), influence, arms[0].clusters


@dataclass(frozen=True)
class Efficiency:
    """What share of the native vector's gain over random a transferred vector has; 1 = all."""

    interval: Interval | None  # Fieller, 95 %; None where the native gain may be 0
    reason: str | None  # why it is absent


def transfer_efficiency(
    moved: Evidence, native: Evidence, rows: Sequence[ArmRow], kept: Kept, of: Literal["aqi", "gap"]
) -> Efficiency:
    """gain_over_random / native gain_over_random at equal dose, with its Fieller interval.

    `rows` hold the random arms of the dose. Both gains are over the same random mean, whose own
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
    chosen = [moved.row, native.row]
    chosen += [r for r in rows if r.arm == "random" and dose_key(r) == dose_key(native.row)]
    arms = load(chosen, kept)
    aqi = of == "aqi"
    values = np.array([a.row.aqi if aqi else a.gap for a in arms])
    influences = np.stack([a.influence if aqi else a.gap_influence for a in arms])
    centred = influences[:2] - influences[2:].mean(axis=0)
    covariance = influence_covariance(centred, arms[0].clusters if aqi else arms[0].gap_clusters)
    draws = len(arms) - 2
    covariance = covariance + values[2:].var(ddof=1) / draws
    gains = values[:2] - values[2:].mean()
    found = fieller(float(gains[0]), float(gains[1]), covariance, draws - 1)
    return Efficiency(found, None if found else "the native gain may be 0")
