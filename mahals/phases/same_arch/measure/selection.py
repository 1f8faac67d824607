"""Selection: which strength is the best that the ceiling allows, on the selection split?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mahals.evaluation.bench import ArmScores, bench, measure_arms
from mahals.evaluation.dose import NOT_STEERED, Dosed
from mahals.evaluation.row_writer import broken
from mahals.evaluation.suite import Suite
from mahals.phase import Lab


@dataclass(frozen=True)
class SelectionScore:
    """A steered arm on the selection split."""

    aqi: float  # points
    over: tuple[str, ...]  # bounds of the ceiling that it breaks there, or that were not measured


def on_selection(lab: Lab, key: str, suite: Suite, dosed: Sequence[Dosed]) -> list[SelectionScore]:
    """AQI and price of each arm on the selection split, beside the unsteered model there."""
    if not dosed:
        return []
    at = bench(lab, key, "base", suite, "selection")
    base, *found = measure_arms(at, [NOT_STEERED.arm, *(d.arm for d in dosed)], neutral=True)
    return [SelectionScore(m.aqi.aqi.estimate, broken(m, base, at) + _unmeasured(m)) for m in found]


def _unmeasured(found: ArmScores) -> tuple[str, ...]:
    """The bounds of which nothing is known: such a strength is not chosen."""
    prices = {"perplexity_ratio": found.perplexity, "safe_accuracy": found.safe_accuracy}
    return tuple(f"{bound} unmeasured" for bound, price in prices.items() if price is None)
