"""Axioms: what does a vector do to the left-out axiom, and that of each axiom to each?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mahals.maths.stats.controls import GainOverRandom
from mahals.maths.stats.intervals import Floats, Interval, jackknife_interval
from mahals.phases.same_arch.rows import Row
from mahals.reporting.axiom_parts import part, part_of
from mahals.reporting.evidence import ArmEvidence, ArmTable
from mahals.reporting.plots.grids import Grid, grid_of


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
    others: PartGain  # on the others
    count: int  # of the others

    def sentence(self) -> str:
        """Both gains with their intervals."""
        said = "six" if self.count == 6 else self.count
        return (
            f"{_sentence(self.inside)} on {self.axiom}, left out of extraction; "
            f"{_sentence(self.others)} on the other {said} axioms"
        )


def _sentence(part: PartGain) -> str:
    g, over = part.gain, part.over_random
    text = f"aqi gain {g:+.2f}"
    if over is None:
        return text + ", over random absent"
    return text + f", over random {over.interval:+.2f}"


def left_out(row: Row, table: ArmTable[Row]) -> LeftOut | None:
    """The gains of a row on its left-out category and on the others; None where none was left out.

    Nor is there one where the prompts have no such category, or no other.
    """
    if row.left_out not in row.categories or len(row.categories) < 2:
        return None
    own, base = table.arm(row), table.arm(table.unsteered_of(row))
    random = table.arms(table.random_of(row))
    chosen = row.categories.index(row.left_out)
    rest = [i for i in range(len(row.categories)) if i != chosen]
    inside, others = (_gain(own, base, random, places) for places in ([chosen], rest))
    return LeftOut(row.left_out, inside, others, len(rest))


def _gain(
    own: ArmEvidence, base: ArmEvidence, random: Sequence[ArmEvidence], axioms: Sequence[int]
) -> PartGain:
    mine = part(own, axioms)
    draws = [part(r, axioms) for r in random]
    return PartGain(mine.minus(part(base, axioms)), mine.over_random(draws))


@dataclass(frozen=True)
class Effects:
    """What the vector of each axiom gains on each axiom over random, and whether on its own."""

    grid: Grid  # rows: the axiom of the vector; columns: the axiom measured; points of aqi
    own_over_others: Interval | None  # mean gain on its own axiom minus on the others, points


def effects(row: Row, table: ArmTable[Row]) -> Effects | None:
    """The effect matrix kept with a row; None where there is none."""
    if row.effects is None:
        return None
    own, random = table.arm(row), table.arms(table.random_of(row))
    tensors = {k: v.numpy() for k, v in table.tensors(row.effects).items()}
    made = [int(a) for a in tensors["axioms"]]
    draws = {j: [part(r, [j]) for r in random] for j in range(len(row.categories))}

    def cell(i: int, j: int) -> Interval | str:
        over = None
        if i in made:
            values, influence = (tensors[name][made.index(i)] for name in ("aqi", "influence"))
            over = part_of(values.tolist(), influence, own, [j]).over_random(draws[j])
        return "out of reach, or no random arms" if over is None else over.interval

    grid = grid_of(row.categories, row.categories, cell)
    return Effects(grid, _own_over_others(made, tensors["aqi"], tensors["influence"], own))


def _own_over_others(
    made: Sequence[int], values: Floats, influence: Floats, like: ArmEvidence
) -> Interval | None:
    """Mean of the diagonal minus mean of the rest; the random means cancel out of it.

    None unless every one of two or more axioms has its vector.
    """
    size = values.shape[1]
    if len(made) < size or size < 2:
        return None
    weights = np.full((size, size), -1 / (size * (size - 1)))
    weights[np.arange(size), np.arange(size)] = 1 / size
    weights = weights[list(made)]
    each = size * (weights[:, like.axioms] * influence).sum(axis=0)
    return jackknife_interval(each, float((weights * values).sum()), like.clusters)
