"""Report: what is a part of a summary: numbers by name, and sentences?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mahals.maths.stats.intervals import Interval
from mahals.reporting.plots.sheet import Estimates


@dataclass(frozen=True)
class Said:
    """Numbers by metric name, and sentences."""

    metrics: dict[str, float]
    lines: list[str]


def three(what: str, i: Interval) -> dict[str, float]:
    """An interval as three metrics: `what`, `what_low`, `what_high`."""
    return {what: i.estimate, f"{what}_low": i.low, f"{what}_high": i.high}


def change_said(d: Interval) -> str:
    """A paired change in words; where all questions change alike there is no spread to go by."""
    if d.standard_error == 0:
        return f"{d.estimate:+.3f} (every question alike: no interval)"
    return _with(d, "+")


def change_metrics(name: str, d: Interval) -> dict[str, float]:
    """A paired change with its interval where it has one."""
    if d.standard_error == 0:
        return {name: d.estimate}
    return {name: d.estimate, f"{name}_low": d.low, f"{name}_high": d.high}


def intervals_drawn(found: Sequence[Interval | None], why: str) -> Estimates:
    """Intervals as a figure takes them; `why` an absent one is absent."""
    return Estimates(
        [None if f is None else f.estimate for f in found],
        [None if f is None else f.low for f in found],
        [None if f is None else f.high for f in found],
        [why if f is None else None for f in found],
    )


def _with(i: Interval, sign: str = "") -> str:
    return f"{i.estimate:{sign}.3f} [{i.low:{sign}.3f}, {i.high:{sign}.3f}]"
