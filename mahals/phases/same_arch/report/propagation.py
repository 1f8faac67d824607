"""Propagation: how much of a gain is the steered block's geometry, how much what follows?"""

from __future__ import annotations

from dataclasses import dataclass

from mahals.maths.stats.controls import GainOverRandom
from mahals.maths.stats.intervals import Floats, Interval
from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import ArmTable, Part


@dataclass(frozen=True)
class Split:
    """An aqi gain in two parts that sum to it, in points."""

    same_block: Interval  # the geometry of the steps alone
    propagated: Interval  # what later blocks made of them
    over_random: GainOverRandom | None  # propagated, over that of the random arms of the dose

    def sentence(self) -> str:
        """Both parts with their intervals, and the control of the second."""
        s, p, over = self.same_block, self.propagated, self.over_random
        text = f"same_block {s:+.2f}, propagated {p:+.2f}"
        if over is None:
            return text
        return f"{text}, over random {over.interval:+.2f}"


def split(row: Row, table: ArmTable[Row]) -> Split | None:
    """The two parts of a row's gain; None for a row that is not steered.

    The table holds the unsteered model and the random arms of the row's dose. Raises ValueError
    where one of these has no same_block.
    """
    if row.same_block is None:
        return None
    base, rows = table.unsteered_of(row), [row, *table.random_of(row)]
    zero, arms = table.arm(base), table.arms(rows)
    steps = [r.same_block for r in rows if r.same_block is not None]
    still = [_still(r, zero.influence, table) for r in rows]
    clusters = arms[0].clusters
    same = Part(base.aqi + row.same_block, still[0], clusters)
    bend, *draws = (
        Part(a.row.aqi - step - base.aqi, a.influence - s, clusters)
        for a, step, s in zip(arms, steps, still, strict=True)
    )
    return Split(
        same.minus(zero.part("aqi")), arms[0].part("aqi").minus(same), bend.over_random(draws)
    )


def _still(row: Row, base: Floats, table: ArmTable[Row]) -> Floats:
    """The influence on the same_block aqi: of `add` alone it is that of the unsteered model."""
    tensors = table.tensors(row.evidence)
    return tensors["same_block"][row.evidence_row].numpy() if "same_block" in tensors else base
