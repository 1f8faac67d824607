"""Propagation: how much of a gain is the steered block's geometry, how much what follows?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mahals.maths.stats.controls import GainOverRandom, over_random
from mahals.maths.stats.intervals import Interval, paired_difference
from mahals.phase import Kept
from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import Array, dose_key, load
from mahals.schema import ArmRow


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
        i = over.interval
        return f"{text}, over random {i:+.2f}"


def split(row: Row, rows: Sequence[ArmRow], kept: Kept) -> Split | None:
    """The two parts of a row's gain; None for a row that is not steered.

    `rows` hold the unsteered model and the random arms of the row's dose.
    """
    if row.same_block is None:
        return None
    base = next(r for r in rows if r.arm == "unsteered" and r.target == row.target)
    random = [r for r in rows if r.arm == "random" and dose_key(r) == dose_key(row)]
    zero, *arms = load([base, row, *random], kept)
    still = [_still(a.row, zero.influence, kept) for a in arms]
    parts = [a.row.aqi - _same(a.row) - base.aqi for a in arms]
    bends = [a.influence - s for a, s in zip(arms, still, strict=True)]
    clusters, same = arms[0].clusters, base.aqi + row.same_block
    draws = list(zip(parts[1:], bends[1:], strict=True))
    return Split(
        paired_difference(still[0], zero.influence, same, base.aqi, clusters),
        paired_difference(arms[0].influence, still[0], row.aqi, same, clusters),
        over_random(parts[0], bends[0], draws, clusters),
    )


def _same(row: ArmRow) -> float:
    if not isinstance(row, Row) or row.same_block is None:
        raise ValueError(f"{row.arm} of {row.target} has no same_block")
    return row.same_block


def _still(row: ArmRow, base: Array, kept: Kept) -> Array:
    """The influence on the same_block aqi: of `add` alone it is that of the unsteered model."""
    found = kept.tensors(row.evidence)
    return found["same_block"][row.evidence_row].numpy() if "same_block" in found else base
