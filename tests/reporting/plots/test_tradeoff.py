"""Tradeoffs: do they hold their paths, nulls and references, on an axis of prices?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mahals.records import InputError
from mahals.reporting.plots.curves import CHOSEN
from mahals.reporting.plots.sheet import Estimates
from mahals.reporting.plots.tradeoff import OVER, Path, Tradeoff, value_over_price
from tests.support.sample_figures import WORDS, around

PATH = Path([1.0, 1.1, 1.4], around([0.0, 0.5, 0.9], 0.2), (False, False, True), chosen=1)
PANEL = Tradeoff(
    paths={"B": replace(PATH, look=2), "C": replace(PATH, look=1)},
    own={"own vector": Path([1.0, 1.2], Estimates([0.0, 1.0]))},
    flipped={"sign flipped": Path([1.0, 1.3], Estimates([0.0, -0.4]))},
    dots={"noise": [(1.0, 0.1), (1.2, 0.0)], "maps": [(1.1, 0.3)]},
    landmarks={"unsteered": (1.0, 0.0), "aligned": (1.05, 1.0)},
    levels={"prompt": 0.8},
)


def of(axes: Any, gid: str) -> list[Any]:
    return [line for line in axes.lines if line.get_gid() == gid]


def points(line: Any) -> list[tuple[float, float]]:
    return list(zip(map(float, line.get_xdata()), map(float, line.get_ydata()), strict=True))


def test_every_point_stands_at_its_price() -> None:
    axes = value_over_price({"A": PANEL}, WORDS).axes[0]
    two, one, own, flipped = of(axes, "path")
    assert points(two) == points(one) == [(1.0, 0.0), (1.1, 0.5), (1.4, 0.9)]
    assert two.get_color() != one.get_color() and two.get_marker() != one.get_marker()
    assert points(own) == [(1.0, 0.0), (1.2, 1.0)]
    assert own.get_color() not in (two.get_color(), one.get_color())
    assert flipped.get_markerfacecolor() == "white" and flipped.get_linestyle() == "--"
    assert [points(d) for d in of(axes, "null")] == [[(1.0, 0.1), (1.2, 0.0)], [(1.1, 0.3)]]
    assert len({d.get_marker() for d in of(axes, "null")}) == 2
    assert [points(m) for m in of(axes, "landmark")] == [[(1.0, 0.0)], [(1.05, 1.0)]]
    assert [ln.get_ydata()[0] for ln in of(axes, "reference")] == [0.8]
    assert [points(m) for m in of(axes, "over")] == [[(1.4, 0.9)]] * 2
    assert [points(m) for m in of(axes, "chosen")] == [[(1.1, 0.5)]] * 2


def test_a_legend_names_the_own_vector_first_and_everything_once() -> None:
    figure = value_over_price({"A": PANEL, "B": PANEL}, WORDS)
    names = [t.get_text() for t in figure.legends[0].get_texts()]
    assert names[:3] == ["own vector", "C", "B"], "in the order of their looks"
    assert set(names[3:]) == {
        "sign flipped", "noise", "maps", "unsteered", "aligned", "prompt", OVER, CHOSEN,
    }  # fmt: skip
    assert len(names) == len(set(names))


def test_intervals_lie_inside_the_axes() -> None:
    wide = Path([1.0, 1.1], Estimates([0.0, 0.1], [-40.0, 0.0], [1.0, 70.0]))
    low, high = value_over_price({"A": Tradeoff({"x": wide})}, WORDS).axes[0].get_ylim()
    assert low <= -40 and high >= 70


def test_prices_far_apart_are_drawn_by_their_logarithm() -> None:
    far = replace(PANEL, dots={"noise": [(6.0, 0.1)]})
    near, other = value_over_price({"near": PANEL, "far": far}, WORDS).axes
    assert (near.get_xscale(), other.get_xscale()) == ("linear", "log")
    assert "5" in [t.get_text() for t in other.get_xticklabels()]


def test_a_price_that_is_missing_is_refused() -> None:
    with pytest.raises(InputError, match="prices"):
        Path([1.0], Estimates([0.0, 1.0]))
    with pytest.raises(InputError, match="over"):
        Path([1.0, 2.0], Estimates([0.0, 1.0]), over=(True,))
    with pytest.raises(InputError, match="panels"):
        value_over_price({}, WORDS)
