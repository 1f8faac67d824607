"""Best dose: which strength was chosen on the selection split, and what does it do elsewhere?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mahals.phases.same_arch.rows import Row
from mahals.reporting.gains import ArmGains


@dataclass(frozen=True)
class Best:
    """The lambda above 0 with the highest aqi on selection, of those under the ceiling there."""

    row: Row | None  # its row on the evaluation prompts; None where none is under the ceiling
    tried: int
    over: int  # of these over the ceiling on the selection split


def best_lambda(grid: Sequence[Row]) -> Best | None:
    """The best of the steered rows of one lambda grid; None where none was tried on selection."""
    tried = [r for r in grid if r.dose != 0 and r.selection_aqi is not None]
    if not tried:
        return None
    under = [r for r in tried if not r.selection_over]
    row = max(under, key=lambda r: r.selection_aqi or 0.0) if under else None
    return Best(row, len(tried), len(tried) - len(under))


def best_line(best: Best, grid: Sequence[Row], gains: Sequence[ArmGains[Row]]) -> str:
    """One sentence: which strength was chosen, and what it does on the evaluation prompts."""
    who = f"{grid[0].target}, {grid[0].operator} {grid[0].placement}, best lambda"
    if best.row is None:
        which = "over the ceiling on the selection split, or without a price there"
        return f"{who} absent: all {best.tried} are {which}"
    e = next(e for e in gains if e.row is best.row)
    text = f"{who} under the ceiling on the selection split {best.row.dose:g} of {best.tried}"
    for name, over in (("aqi", e.over_random), ("refusal gap", e.gap_over_random)):
        if over is None:
            text += f"; {name} over random absent"
            continue
        text += f"; {name} on evaluation over random {over.interval:+.2f} (K={over.n_random})"
    broken_here = ", ".join(best.row.over_ceiling)
    return text + (f"; there over the ceiling: {broken_here}" if broken_here else "")
