"""Report: are changes said with their interval, or said to have none?"""

from __future__ import annotations

from types import SimpleNamespace

from mahals.maths.stats.intervals import Interval
from mahals.reporting.evidence import Evidence
from mahals.reporting.report import (
    Report,
    by_model,
    change_metrics,
    change_text,
    interval_metrics,
)
from tests.support.arm_rows import N
from tests.support.tiny_lab import MemoryKept

MOVED = Interval(0.25, -0.125, 0.625, 0.2, N)
STILL = Interval(1.0, 1.0, 1.0, 0.0, N)


def test_an_interval_is_three_metrics() -> None:
    assert interval_metrics("x", MOVED) == {"x": 0.25, "x_low": -0.125, "x_high": 0.625}


def test_a_change_without_spread_has_no_interval() -> None:
    assert change_text(MOVED, 3) == "+0.250 [-0.125, +0.625]"
    assert change_metrics("x", MOVED) == interval_metrics("x", MOVED)
    assert change_text(STILL, 3) == "+1.000 (all alike: no interval)"
    assert change_metrics("x", STILL) == {"x": 1.0}


def test_metric_names_carry_the_model_only_when_there_are_several() -> None:
    def told(*models: str) -> Report:
        table = Evidence([SimpleNamespace(model=m) for m in models], MemoryKept({}))
        return by_model(
            table, lambda _, m: Report({"x": 1.0}, [f"{m} x"]), lambda _, m: Report({"y": 2.0}, [m])
        )

    assert told("A") == Report({"x": 1.0, "y": 2.0}, ["A x", "A"])
    assert told("A", "B").metrics == {"A/x": 1.0, "A/y": 2.0, "B/x": 1.0, "B/y": 2.0}
    assert told("A", "B").lines == ["A x", "A", "B x", "B"]
