"""What does an arm do to some axioms alone, and what does the vector of each axiom do to each?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mahals.data.texts import AXIOMS
from mahals.evaluation.arms import Direction, within_reach
from mahals.evaluation.bench import Bench, arm_aqi
from mahals.evaluation.suite import ArmRow, SweptRow
from mahals.maths.stats.controls import GainOverRandom
from mahals.maths.stats.intervals import Interval, jackknife_interval, paired_difference
from mahals.phase import Kept, Lab
from mahals.reporting.evidence import ArmEvidence, Array, dose_key, load, over_random
from mahals.reporting.plots.grids import Grid


@dataclass(frozen=True)
class Part:
    """The mean aqi of some axioms, with the influence of their prompts."""

    estimate: float
    influence: Array  # (m,) of the prompts of these axioms
    clusters: list[str]


def part(arm: ArmEvidence, axioms: Sequence[int]) -> Part:
    """The mean aqi of the axioms at these places in AXIOMS, from the influence on all seven.

    `model_aqi` weighs a prompt's influence on its axiom's aqi by sqrt(N (N-1) / (n (n-1))) / A in
    the mean of A axioms; this weighs it for the mean of the chosen ones, over their prompts.
    """
    return _part(arm.row.aqi_axioms, arm.influence, arm, axioms)


def _part(
    values: Sequence[float], influence: Array, like: ArmEvidence, axioms: Sequence[int]
) -> Part:
    rows = np.isin(like.axioms, axioms)
    n, whole = float(rows.sum()), float(len(rows))
    scale = len(values) / len(axioms) * np.sqrt(n * (n - 1) / (whole * (whole - 1)))
    return Part(
        float(np.mean([values[a] for a in axioms])),
        influence[rows] * scale,
        [c for c, inside in zip(like.clusters, rows, strict=True) if inside],
    )


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
    text = f"aqi gain {g.estimate:+.2f} [{g.low:+.2f}, {g.high:+.2f}]"
    if over is None:
        return text + ", over random absent"
    i = over.interval
    return text + f", over random {i.estimate:+.2f} [{i.low:+.2f}, {i.high:+.2f}]"


def left_out(row: SweptRow, rows: Sequence[ArmRow], kept: Kept) -> LeftOut | None:
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


# The effect matrix: the vector of each axiom, at equal KL, on each axiom


@dataclass(frozen=True)
class Effects:
    """What the vector of each axiom gains on each axiom over random, and whether on its own."""

    grid: Grid  # rows: the axiom of the vector; columns: the axiom measured; points of aqi
    own_over_others: Interval | None  # mean gain on its own axiom minus on the others, points


def keep_effects(lab: Lab, name: str, at: Bench, found: Sequence[Direction]) -> str | None:
    """Measures and keeps the aqi under each axiom's vector at the suite's dose.

    Gives the reference of the kept file. Tensors: axioms (k,) places in AXIOMS of the vectors that
    reach the dose, aqi (k, 7), influence (k, n). None where there are no such vectors, or none
    reaches the dose.
    """
    reached = within_reach(at, found, at.suite.dose_kl)
    if not reached.dosed:
        return None
    scores = arm_aqi(at, [d.arm for d in reached.dosed])
    tensors = {
        "axioms": torch.tensor([d.label.draw for d in reached.dosed]),
        "aqi": torch.tensor([[a.aqi.estimate for a in s.axioms] for s in scores]).double(),
        "influence": torch.from_numpy(np.stack([s.influence for s in scores])),
    }
    return lab.keep(f"{name}.safetensors", tensors)


def effects(row: SweptRow, rows: Sequence[ArmRow], kept: Kept) -> Effects | None:
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
