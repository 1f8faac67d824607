"""Bars: are they as long as their values, and absent ones not zero?"""

from __future__ import annotations

import math

from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.sheet import Estimates
from tests.support.sample_figures import BARS, FLOORS, WORDS


def test_a_bar_of_no_length_is_a_dot_and_an_absent_one_is_not() -> None:
    measured = {"a": Estimates([0.0, 1.0]), "b": Estimates([None, -1.0])}
    figure = grouped_bars(("x", "y"), measured, WORDS)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == [[0.0], []]
    assert any("Dot: 0." in text.get_text() for text in figure.texts)
    without = grouped_bars(("x",), {"a": Estimates([1.0])}, WORDS)
    assert not any("Dot" in text.get_text() for text in without.texts)


def test_bars_are_as_long_as_their_values_and_an_absent_one_is_not_zero(figures) -> None:
    axes = figures["bars"].axes[0]
    lengths = [bar.get_width() for bar in axes.containers[0]]
    for length, value in zip(lengths, BARS.values, strict=True):
        assert math.isnan(length) if value is None else length == value
    said = [t.get_text() for t in axes.texts if t.get_gid() == "absent"]
    assert said == ["absent (a)"]
    assert "(a) no such cell" in figures["bars"].texts[1].get_text().replace("\n", " ")


def test_floors_stand_at_their_values(figures) -> None:
    drawn = [line for line in figures["bars"].axes[0].lines if line.get_gid() == "floor"]
    assert len(drawn) == len(FLOORS)
    for line, row in zip(drawn, FLOORS.values(), strict=True):
        for x, value in zip(line.get_xdata(), row, strict=True):
            assert math.isnan(x) if value is None else x == value


def test_intervals_reach_from_low_to_high(figures) -> None:
    lines = [ln for ln in figures["bars"].axes[0].lines if len({*ln.get_ydata()}) == 1]
    spans = {tuple(ln.get_xdata()) for ln in lines if len(ln.get_xdata()) == 2}
    expected = {(v - 3.0, v + 3.0) for v in BARS.values if v is not None}
    assert expected <= spans


def test_only_the_marked_bar_has_another_colour(figures) -> None:
    colours = [bar.get_facecolor() for bar in figures["bars"].axes[0].containers[0]]
    assert [c == colours[0] for c in colours] == [i != 1 for i in range(8)]
