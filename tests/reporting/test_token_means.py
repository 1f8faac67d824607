"""Are means told as answers were written first, and drawn where enough answers have a token?"""

from __future__ import annotations

from functools import partial

import pytest

from mahals.maths.metrics.token_means import TokenMean
from mahals.records import from_plain
from mahals.reporting.plots.sheet import Labels
from mahals.reporting.resistance import PLANTED
from mahals.reporting.token_means import ENDS_LEFT_OUT, aligned_figure, means_summary, tables
from tests.support.resistance_lab import plain
from tests.support.tiny_lab import MemoryKept

ROW = partial(TokenMean, "A", "organism", "planted", "free", quantity="x", count=4)
KEPT = MemoryKept({})


def test_a_place_comes_back_as_a_region_or_a_number() -> None:
    for place in ("off topic", -3, 0):
        row = ROW(place=place, group="episode", mean=1.0)
        assert from_plain(TokenMean, plain(row)) == row


def test_metrics_are_of_the_first_steering_and_lines_of_both() -> None:
    places = [(g, s) for s in ("on", "off") for g in ("episode", "derailed", "difference")]
    rows = [
        ROW(steering=s, group=g, place="off topic", mean=float(k), low=k - 1.0, high=k + 1.0)
        for k, (g, s) in enumerate(places)
    ]
    told = means_summary([*rows, ROW(quantity="y", why="none")], KEPT)
    assert told.metrics == {
        "planted/free/x/off_topic": 0.0,
        "planted/free/x/off_topic_over_derailed": 2.0,
        "planted/free/x/off_topic_over_derailed_low": 1.0,
        "planted/free/x/off_topic_over_derailed_high": 3.0,
    }
    assert told.lines[1] == "planted/free, y: absent: none" and len(told.lines) == 5
    assert "steering off: off topic episode 3 [2, 4] (4)" in told.lines[3]
    assert (told.lines[0], told.lines[-1]) == (PLANTED, ENDS_LEFT_OUT)


def test_only_tokens_of_half_the_answers_are_drawn_and_marks_are_where_they_are_given() -> None:
    counts = {-2: 1, -1: 2, 0: 4, 1: 3}
    rows = [
        TokenMean("A", "organism", "planted", "free", "x", "on", "episode", k, n, float(k))
        for k, n in counts.items()
    ]
    (table,) = tables(rows, KEPT).values()
    figure = aligned_figure(table, {"x": "X", "y": "Y"}, Labels("t", "v", "c"), (-1.5, 0.0))
    (axes,) = (a for a in figure.axes if a.get_title(loc="left"))
    (line,) = (x for x in axes.lines if x.get_linestyle() == "-")
    assert list(line.get_ydata())[1:] == [-1.0, 0.0, 1.0]
    assert line.get_ydata()[0] == pytest.approx(float("nan"), nan_ok=True)
    assert [x.get_xdata()[0] for x in axes.lines if x.get_linestyle() == ":"] == [-1.5, 0.0]
