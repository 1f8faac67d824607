"""What is a part of a summary: numbers by name, and sentences?"""

from __future__ import annotations

from dataclasses import dataclass

from mahals.maths.stats.intervals import Interval


@dataclass(frozen=True)
class Said:
    """Numbers by metric name, and sentences."""

    metrics: dict[str, float]
    lines: list[str]


def three(what: str, i: Interval) -> dict[str, float]:
    """An interval as three metrics: `what`, `what_low`, `what_high`."""
    return {what: i.estimate, f"{what}_low": i.low, f"{what}_high": i.high}
