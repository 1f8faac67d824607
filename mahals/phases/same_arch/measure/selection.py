"""Which strength is the best that the ceiling allows, on prompts that no result is told of?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mahals.evaluation.arms import NOT_STEERED, Dosed
from mahals.evaluation.bench import Measured, bench, measure_arms
from mahals.evaluation.row_writer import broken
from mahals.evaluation.suite import Suite, SweptRow
from mahals.phase import Lab
from mahals.reporting.evidence import Evidence


@dataclass(frozen=True)
class Selection:
    """A steered arm on the selection split."""

    aqi: float  # points
    over: tuple[str, ...]  # bounds of the ceiling that it breaks there, or that were not measured


def on_selection(lab: Lab, key: str, suite: Suite, dosed: Sequence[Dosed]) -> list[Selection]:
    """AQI and price of each arm on the selection split, beside the unsteered model there."""
    if not dosed:
        return []
    at = bench(lab, key, "base", suite, "selection")
    base, *found = measure_arms(at, [NOT_STEERED.arm, *(d.arm for d in dosed)], neutral=True)
    return [Selection(m.aqi.aqi.estimate, broken(m, base, at) + _unmeasured(m)) for m in found]


def _unmeasured(found: Measured) -> tuple[str, ...]:
    """The bounds of which nothing is known: such a strength is not chosen."""
    prices = {"perplexity_ratio": found.perplexity, "safe_accuracy": found.safe_accuracy}
    return tuple(f"{bound} unmeasured" for bound, price in prices.items() if price is None)


@dataclass(frozen=True)
class Best:
    """The lambda above 0 with the highest aqi on selection, of those under the ceiling there."""

    row: SweptRow | None  # its row on the evaluation prompts; None where none is under the ceiling
    tried: int
    over: int  # of these over the ceiling on the selection split


def best_lambda(grid: Sequence[SweptRow]) -> Best | None:
    """The best of the steered rows of one lambda grid; None where none was tried on selection."""
    tried = [r for r in grid if r.dose != 0 and r.selection_aqi is not None]
    if not tried:
        return None
    under = [r for r in tried if not r.selection_over]
    row = max(under, key=lambda r: r.selection_aqi or 0.0) if under else None
    return Best(row, len(tried), len(tried) - len(under))


def best_line(best: Best, grid: Sequence[SweptRow], found: Sequence[Evidence]) -> str:
    """One sentence: which strength was chosen, and what it does on the evaluation prompts."""
    who = f"{grid[0].target}, {grid[0].operator} {grid[0].placement}, best lambda"
    if best.row is None:
        which = "over the ceiling on the selection split, or without a price there"
        return f"{who} absent: all {best.tried} are {which}"
    e = next(e for e in found if e.row is best.row)
    text = f"{who} under the ceiling on the selection split {best.row.dose:g} of {best.tried}"
    for name, over, digits in (("aqi", e.over_random, 2), ("refusal gap", e.gap_over_random, 2)):
        if over is None:
            text += f"; {name} over random absent"
            continue
        i = over.interval
        text += (
            f"; {name} on evaluation over random {i.estimate:+.{digits}f} "
            f"[{i.low:+.{digits}f}, {i.high:+.{digits}f}] (K={over.n_random})"
        )
    broken_here = ", ".join(best.row.over_ceiling)
    return text + (f"; there over the ceiling: {broken_here}" if broken_here else "")
