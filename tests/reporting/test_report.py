"""Report: are changes said with their interval, or said to have none?"""

from __future__ import annotations

from mahals.maths.stats.intervals import Interval
from mahals.reporting.report import change_metrics, change_said, intervals_drawn, three
from tests.support.arm_rows import N

MOVED = Interval(0.25, -0.125, 0.625, 0.2, N)
STILL = Interval(1.0, 1.0, 1.0, 0.0, N)


def test_an_interval_is_three_metrics() -> None:
    assert three("x", MOVED) == {"x": 0.25, "x_low": -0.125, "x_high": 0.625}


def test_a_change_without_spread_has_no_interval() -> None:
    assert change_said(MOVED) == "+0.250 [-0.125, +0.625]"
    assert change_metrics("x", MOVED) == three("x", MOVED)
    assert change_said(STILL) == "+1.000 (every question alike: no interval)"
    assert change_metrics("x", STILL) == {"x": 1.0}


def test_an_absent_interval_is_drawn_absent_with_its_reason() -> None:
    drawn = intervals_drawn([MOVED, None], "not asked")
    assert (list(drawn.values), list(drawn.lows)) == ([0.25, None], [-0.125, None])
    assert list(drawn.highs) == [0.625, None]
    assert list(drawn.reasons) == [None, "not asked"]
