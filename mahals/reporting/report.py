"""Report: what is a part of a summary: numbers by name, and sentences?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from mahals.maths.stats.intervals import Interval
from mahals.reporting.evidence import Evidence

T = TypeVar("T", bound=Evidence[Any])
ALIKE = 1e-9  # a narrower interval is rounding


@dataclass(frozen=True)
class Report:
    """A part of a summary: numbers by metric name, and sentences."""

    metrics: dict[str, float]
    lines: list[str]

    def under(self, prefix: str) -> Report:
        """The same, each metric's name after a prefix."""
        return Report({prefix + name: v for name, v in self.metrics.items()}, self.lines)


def joined(reports: Iterable[Report]) -> Report:
    """The numbers and the sentences of all, in order."""
    metrics: dict[str, float] = {}
    lines: list[str] = []
    for each in reports:
        metrics |= each.metrics
        lines += each.lines
    return Report(metrics, lines)


def by_model(table: T, *tellers: Callable[[T, str], Report]) -> Report:
    """What all tellers say of each model; metric names carry it only when there are several."""
    models = table.values_of("model")
    several = len(models) > 1
    return joined(
        tell(table, m).under(f"{m}/" if several else "") for m in models for tell in tellers
    )


def interval_metrics(what: str, i: Interval) -> dict[str, float]:
    """An interval as three metrics: `what`, `what_low`, `what_high`."""
    return {what: i.estimate, f"{what}_low": i.low, f"{what}_high": i.high}


def varies(i: Interval) -> bool:
    """Whether the interval has a width: where all is alike there is no spread to go by."""
    return i.high - i.low > ALIKE


def change_metrics(what: str, i: Interval) -> dict[str, float]:
    """A change as metrics, with the ends of its interval where it has a width."""
    return interval_metrics(what, i) if varies(i) else {what: i.estimate}


def change_text(i: Interval, digits: int) -> str:
    """A change in words, with its interval or why it has none."""
    return f"{i.estimate:+.{digits}f} {brackets(i, digits)}"


def brackets(i: Interval, digits: int) -> str:
    """The ends of a change's interval, or why it has none."""
    if not varies(i):
        return "(all alike: no interval)"
    return f"[{i.low:+.{digits}f}, {i.high:+.{digits}f}]"
