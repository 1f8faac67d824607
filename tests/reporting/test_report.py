"""Report: are changes said with their interval, or said to have none?"""

from __future__ import annotations

from mahals.maths.stats.intervals import Interval
from mahals.reporting.report import change_metrics, change_text, interval_metrics
from tests.support.arm_rows import N

MOVED = Interval(0.25, -0.125, 0.625, 0.2, N)
STILL = Interval(1.0, 1.0, 1.0, 0.0, N)


def test_an_interval_is_three_metrics() -> None:
    assert interval_metrics("x", MOVED) == {"x": 0.25, "x_low": -0.125, "x_high": 0.625}


def test_a_change_without_spread_has_no_interval() -> None:
    assert change_text(MOVED, 3) == "+0.250 [-0.125, +0.625]"
    assert change_metrics("x", MOVED) == interval_metrics("x", MOVED)
    assert change_text(STILL, 3) == "+1.000 (all alike: no interval)"
    assert change_metrics("x", STILL) == {"x": 1.0}
