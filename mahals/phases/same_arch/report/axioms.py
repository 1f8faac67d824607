"""Axioms: what does a vector do to the left-out axiom, and that of each axiom to each?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mahals.data.texts import AXIOMS
from mahals.maths.stats.controls import GainOverRandom, over_random
from mahals.maths.stats.intervals import Interval, jackknife_interval, paired_difference
from mahals.phase import Kept
from mahals.phases.same_arch.rows import Row
from mahals.reporting.axiom_parts import _part, part
from mahals.reporting.evidence import ArmEvidence, Array, dose_key, load
from mahals.reporting.plots.grids import Grid
from mahals.schema import ArmRow


@dataclass(frozen=True)
class PartGain:
    """Points of aqi that some axioms gained, over the unsteered model and over random arms."""

    gain: Interval
    over_random: GainOverRandom | None  # None with fewer than two random arms


@dataclass(frozen=True)
class LeftOut:
    """Does a vector work on the axiom that it was made without?"""

    axiom: str
    inside: PartGain  # on the axiom left out
    others: PartGain  # on the other six

    def sentence(self) -> str:
        """Both gains with their intervals."""
        return (
            f"{_said(self.inside)} on {self.axiom}, left out of extraction; "
            f"{_said(self.others)} on the other six axioms"
        )


def _said(found: PartGain) -> str:
    g, over = found.gain, found.over_random
    text = f"aqi gain {g:+.2f}"
    if over is None:
        return text + ", over random absent"
    i = over.interval
    return text + f", over random {i:+.2f}"


def left_out(row: Row, rows: Sequence[ArmRow], kept: Kept) -> LeftOut | None:
    """The gains of a row on its left-out axiom and on the others; None where none was left out."""
    if row.left_out is None:
        return None
    own, base, random = _with_controls(row, rows, kept)
    chosen = AXIOMS.index(row.left_out)
    rest = [i for i in range(len(AXIOMS)) if i != chosen]
    return LeftOut(row.left_out, _gain(own, base, random, [chosen]), _gain(own, base, random, rest))


def _with_controls(
    row: ArmRow, rows: Sequence[ArmRow], kept: Kept
) -> tuple[ArmEvidence, ArmEvidence, list[ArmEvidence]]:
    """The evidence of a row, of its unsteered model and of its random controls."""
    base = next(r for r in rows if r.arm == "unsteered" and r.target == row.target)
    random = [r for r in rows if r.arm == "random" and dose_key(r) == dose_key(row)]
    own, zero, *draws = load([row, base, *random], kept)
    return own, zero, draws


def _gain(
    own: ArmEvidence, base: ArmEvidence, random: Sequence[ArmEvidence], axioms: Sequence[int]
) -> PartGain:
    a, b = part(own, axioms), part(base, axioms)
    draws = [part(r, axioms) for r in random]
    return PartGain(
        paired_difference(a.influence, b.influence, a.estimate, b.estimate, a.clusters),
        over_random(
            a.estimate, a.influence, [(d.estimate, d.influence) for d in draws], a.clusters
        ),
    )


@dataclass(frozen=True)
class Effects:
    """What the vector of each axiom gains on each axiom over random, and whether on its own."""

    grid: Grid  # rows: the axiom of the vector; columns: the axiom measured; points of aqi
    own_over_others: Interval | None  # mean gain on its own axiom minus on the others, points


def effects(row: Row, rows: Sequence[ArmRow], kept: Kept) -> Effects | None:
    """The effect matrix kept with a row; None where there is none."""
    if row.effects is None:
        return None
    own, _, random = _with_controls(row, rows, kept)
    tensors = {k: v.numpy() for k, v in kept.tensors(row.effects).items()}
    made = [int(a) for a in tensors["axioms"]]
    draws = {j: [part(r, [j]) for r in random] for j in range(len(AXIOMS))}
    cells: list[list[GainOverRandom | None]] = [[None] * len(AXIOMS) for _ in AXIOMS]
    for i, values, influence in zip(made, tensors["aqi"], tensors["influence"], strict=True):
        for j in range(len(AXIOMS)):
            p = _part(values.tolist(), influence, own, [j])
            against = [(d.estimate, d.influence) for d in draws[j]]
            cells[i][j] = over_random(p.estimate, p.influence, against, p.clusters)
    grid = Grid(
        list(AXIOMS),
        list(AXIOMS),
        [[None if c is None else c.interval.estimate for c in r] for r in cells],
        [[None if c is None else c.interval.low for c in r] for r in cells],
        [[None if c is None else c.interval.high for c in r] for r in cells],
        [["out of reach, or no random arms" if c is None else None for c in r] for r in cells],
    )
    return Effects(grid, _own_over_others(made, tensors["aqi"], tensors["influence"], own))


def _own_over_others(
    made: Sequence[int], values: Array, influence: Array, like: ArmEvidence
) -> Interval | None:
    """Mean of the diagonal minus mean of the rest; the random means cancel out of it.

    None unless every axiom has its vector.
    """
    size = len(AXIOMS)
    if len(made) < size:
        return None
    weights = np.full((size, size), -1 / (size * (size - 1)))
    weights[np.arange(size), np.arange(size)] = 1 / size
    weights = weights[list(made)]
    each = size * (weights[:, like.axioms] * influence).sum(axis=0)
    return jackknife_interval(each, float((weights * values).sum()), like.clusters)
