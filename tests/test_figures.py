"""Do figures show the numbers they were given, absent ones as absent, and not as zero?"""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from matplotlib.figure import Figure

from mahals.records import InputError
from mahals.reporting.plots.bars import bars_with_intervals, grouped_bars, histogram
from mahals.reporting.plots.curves import Curve, curve_with_band, lines_over_layers
from mahals.reporting.plots.grids import Grid, matrix, table
from mahals.reporting.plots.sheet import Labels, Measured, png
from tests.support.sample_figures import (
    BARS,
    DEPTHS,
    FLOORS,
    HEAT,
    LAMBDAS,
    MODELS,
    WORDS,
    curve,
    every_figure,
    far,
    square,
)


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    return every_figure()


def test_a_long_title_stays_within_its_figure() -> None:
    words = "Cosine of the two states compared, mean_difference over the blocks of each model"
    figure = lines_over_layers({"a": Measured([1.0, 2.0])}, Labels(words, "cosine", "n = 1"))
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    title = next(text for text in figure.texts if text.get_text().startswith("Cosine"))
    assert title.get_window_extent(renderer).x1 <= figure.bbox.x1


def test_a_bar_of_no_length_is_a_dot_and_an_absent_one_is_not() -> None:
    measured = {"a": Measured([0.0, 1.0]), "b": Measured([None, -1.0])}
    figure = grouped_bars(("x", "y"), measured, WORDS)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == [[0.0], []]
    assert any("Dot: 0." in text.get_text() for text in figure.texts)
    without = grouped_bars(("x",), {"a": Measured([1.0])}, WORDS)
    assert not any("Dot" in text.get_text() for text in without.texts)


@pytest.mark.parametrize("name", ["bars", "matrix", "models"])
def test_saves_as_png(figures, name: str) -> None:
    assert png(figures[name]).startswith(b"\x89PNG\r\n\x1a\n")


def test_the_same_figure_gives_the_same_bytes_in_threads_too() -> None:
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: png(curve_with_band({"a": curve(1)}, WORDS)), range(2))
    assert first == second == png(curve_with_band({"a": curve(1)}, WORDS))


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


def test_histogram_counts_every_value_once(figures) -> None:
    bars = figures["histogram"].axes[0].containers[0]
    assert [bar.get_height() for bar in bars] == [2, 0, 0, 1]
    with pytest.raises(InputError, match="bins that hold all values"):
        histogram([2.0], WORDS, [0, 1], {})


def test_heatmap_marks_the_weakest_model_of_every_axiom_and_hatches_absent_cells(figures) -> None:
    axes = figures["heatmap"].axes[0]
    marked = {
        (round(t.get_position()[1]), round(t.get_position()[0]))
        for t in axes.texts
        if "\u25bc" in t.get_text()
    }
    expected = set()
    for j in range(7):
        column = {i: v for i in range(8) if (v := HEAT[i][j]) is not None}
        expected.add((min(column, key=column.__getitem__), j))
    assert marked == expected
    hatched = [p for p in axes.patches if p.get_gid() == "absent"]
    assert [(p.get_y() + 0.5, p.get_x() + 0.5) for p in hatched] == [(2, 3)]
    assert bool(axes.images[0].get_array().mask[2, 3])


def test_matrix_outlines_the_diagonal_and_bolds_what_excludes_zero(figures) -> None:
    axes = figures["matrix"].axes[0]
    outlined = {round(p.get_x()) for p in axes.patches if p.get_gid() == "diagonal"}
    assert len(outlined) == 8
    grid = square(8, 19.0)
    bold = {
        (round(t.get_position()[1]), round(t.get_position()[0]))
        for t in axes.texts
        if t.get_weight() == "bold"
    }
    cells = itertools.product(range(8), range(8))
    assert bold == {(i, j) for i, j in cells if (v := grid.values[i][j]) is not None and abs(v) > 3}


def test_layers_share_relative_depth_only_when_depths_differ(figures) -> None:
    lines = [ln for ln in figures["layers"].axes[0].lines if ln.get_marker() != "None"]
    for line, depth in zip(lines, DEPTHS, strict=True):
        assert list(line.get_xdata()) == [(k + 1) / depth for k in range(depth)]
    same = lines_over_layers({"a": Measured([1, None, 3]), "b": Measured([1, 2, 3])}, WORDS)
    first = same.axes[0].lines[0]
    assert list(first.get_xdata()) == [0, 1, 2]
    assert math.isnan(first.get_ydata()[1])
    assert same.axes[0].get_xlabel() == "block"


def test_curves_hold_their_values_and_the_random_band(figures) -> None:
    axes = figures["one"].axes[0]
    by_gid = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    assert list(by_gid["random mean"].get_ydata()) == [10 + x for x in LAMBDAS]
    solid = next(ln for ln in axes.lines if ln.get_marker() == "o" and ln.get_linestyle() == "-")
    assert list(solid.get_ydata()) == [10 + 4 * x for x in LAMBDAS]
    flipped = [ln for ln in axes.lines if ln.get_markerfacecolor() == "white"]
    assert [list(ln.get_ydata()) for ln in flipped] == [[10 - 4 * x for x in LAMBDAS]]
    levels = {ln.get_ydata()[0] for ln in axes.lines if ln.get_gid() == "reference"}
    assert levels == {10.0, 12.0}
    band = axes.collections[0].get_paths()[0].get_extents()
    assert (band.y0, band.y1) == (8.5, 12.5)


def test_a_reference_far_from_the_arms_is_named_and_does_not_squeeze_them(figures) -> None:
    for number, axes in enumerate(figures["far"].axes[: len(MODELS)]):
        levels = {ln.get_ydata()[0] for ln in axes.lines if ln.get_gid() == "reference"}
        assert levels == {10.0}
        away = [t for t in axes.texts if t.get_gid() == "far reference"]
        said = {t.get_text(): t.get_position()[1] > 0.5 for t in away}
        assert said == {f"aligned {160 - 16 * number} \u2191": True, "prompt -90 \u2193": False}
        bottom, top = axes.get_ylim()
        assert bottom > 0 and top < 20


def test_panels_of_one_scale_draw_every_reference() -> None:
    panels = {"a": far(0), "b": curve(1.0)}
    drawn = curve_with_band(panels, WORDS, share=True)
    lines = [ln for ln in drawn.axes[0].lines if ln.get_gid() == "reference"]
    assert {ln.get_ydata()[0] for ln in lines} == {160.0, -90.0, 10.0}
    assert not drawn.axes[0].texts


def test_a_matrix_without_a_value_says_why_and_has_no_colour_bar(figures) -> None:
    assert len(figures["matrix"].axes) == 2 and len(figures["nothing"].axes) == 1
    assert any("the native gain may be 0" in t.get_text() for t in figures["nothing"].texts)


def test_a_matrix_writes_no_minus_before_nought() -> None:
    drawn = matrix(Grid(["a"], ["b"], [[-0.001]], [[-0.004]], [[0.004]]), WORDS, signed=True)
    assert {t.get_text() for t in drawn.axes[0].texts} == {"0.00", "[0.00, 0.00]"}


def test_points_lie_where_they_were_measured(figures) -> None:
    axes = figures["scatter"].axes[0]
    points = next(line for line in axes.lines if line.get_gid() == "points")
    assert list(points.get_ydata()) == [3.0 * math.sin(5 * i) for i in range(8)]
    assert {t.get_text() for t in axes.texts} == set(MODELS)


def test_table_shows_every_cell(figures) -> None:
    shown = [t.get_text() for t in figures["table"].axes[0].texts]
    assert sorted(shown) == sorted(
        ["model", "blocks", "width", *MODELS, *map(str, DEPTHS), *["128"] * 8]
    )


def test_lower_is_better_points_the_other_way() -> None:
    price = Labels("t", "KL (nats per token)", "c", "lower")
    assert "\u2190 lower is better" in price.value_axis(vertical=True)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: bars_with_intervals(["a"], Measured([1.0, 2.0]), WORDS),
        lambda: bars_with_intervals(["a"], Measured([math.nan]), WORDS),
        lambda: bars_with_intervals([], Measured([]), WORDS),
        lambda: bars_with_intervals(["a"], Measured([1.0]), WORDS, {"floor": []}),
        lambda: Measured([1.0], lows=[1.0, 2.0]),
        lambda: Grid(["a"], ["b"], [[1.0, 2.0]]),
        lambda: curve_with_band({}, WORDS),
        lambda: curve_with_band({"a": Curve([0, 1], {"x": Measured([1.0])})}, WORDS),
        lambda: table({"a": ["1"], "b": []}, WORDS),
    ],
)
def test_what_cannot_be_drawn_is_an_input_error(draw) -> None:
    with pytest.raises(InputError, match="figure"):
        draw()


def test_matplotlib_is_imported_late_and_pyplot_never() -> None:
    code = (
        "import sys; from mahals.reporting.plots import grids, sheet;"
        "assert 'matplotlib' not in sys.modules;"
        "sheet.png(grids.table({'a': ['1']}, sheet.Labels('t', 'v', 'c')));"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
