"""Do figures show the numbers they were given, absent ones as absent, in text one can read?"""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from mahals.data.kinds import AXIOMS
from mahals.figures import (
    Curve,
    Grid,
    Labels,
    Measured,
    Point,
    axiom_heatmap,
    bars_with_intervals,
    curve_with_band,
    grouped_bars,
    histogram,
    lines_over_layers,
    matrix,
    png,
    scatter_with_labels,
    table,
)
from mahals.records import InputError

MODELS = (
    "Mistral_7B", "Llama3_8B", "Qwen2_7B", "Gemma2_9B",
    "Falcon_7B", "Zephyr_7B", "Phi3_mini", "Llama31_Tulu",
)  # fmt: skip
DEPTHS = (4, 6, 8, 5, 6, 8, 10, 12)
LAMBDAS = (0.0, 0.25, 0.5, 0.75, 1.0)
CAPTION = (
    "n = 560 prompts per model, 40 per axiom and label; 95 % delete-one-cluster jackknife "
    "intervals, t at clusters - 1 degrees of freedom."
)
WORDS = Labels("A title of the usual length", "AQI (points)", CAPTION, "higher", "strength (x)")


def around(values: list[float | None], width: float) -> Measured:
    lows = [None if v is None else v - width for v in values]
    highs = [None if v is None else v + width for v in values]
    return Measured(values, lows, highs, ["no such cell"] * len(values))


def curve(slope: float) -> Curve:
    rising = [10 + slope * x for x in LAMBDAS]
    return Curve(
        LAMBDAS,
        {"add": around([*rising], 2.0), "add, preserve norm": around([*rising[:-1], None], 1.0)},
        around([10 + x for x in LAMBDAS], 1.5),
        {"sign flipped": Measured([10 - slope * x for x in LAMBDAS])},
        {"unsteered": 10.0, "aligned checkpoint": 12.0},
    )


def square(size: int, scale: float) -> Grid:
    values = [[scale * math.sin(3 * i + 7 * j) for j in range(size)] for i in range(size)]
    cells: list[list[float | None]] = [[*row] for row in values]
    cells[1][4] = None
    bounds = [[[None if v is None else v + d for v in row] for row in cells] for d in (-3.0, 3.0)]
    reasons = [["identity needs equal widths"] * size for _ in range(size)]
    return Grid(MODELS[:size], MODELS[:size], cells, *bounds, reasons)


BARS = around([20.0, 31.5, None, -4.0, 8.0, 15.0, 2.0, 27.0], 3.0)
FLOORS = {
    "TF-IDF": [4.0, 5.0, 6.0, 1.0, None, 2.0, 3.0, 4.5],
    "embeddings": [2.0, 5.5, 3.0, 2.0, 1.0, 2.5, 3.5, 4.0],
    "random weights": [0.0, 0.5, -0.3, 0.2, 0.1, 0.4, 0.9, 0.3],
}
HEAT: list[list[float | None]] = [
    [60 * abs(math.sin(1 + 5 * i + 3 * j)) for j in range(7)] for i in range(8)
]
HEAT[2][3] = None


def every_figure() -> dict[str, Figure]:
    series = {
        m: around([3.0 * (k + 1) / depth * (i + 2) for k in range(depth)], 1.0)
        for i, (m, depth) in enumerate(zip(MODELS, DEPTHS, strict=True))
    }
    points = [
        Point(m, 0.90 + 0.01 * (i % 3), 3.0 * math.sin(5 * i), 3.0 * math.sin(5 * i) - 1, 4.0)
        for i, m in enumerate(MODELS)
    ]
    facts = {"model": MODELS, "blocks": [str(d) for d in DEPTHS], "width": ["128"] * 8}
    return {
        "bars": bars_with_intervals(MODELS, BARS, WORDS, FLOORS, "Llama3_8B"),
        "grouped": grouped_bars(MODELS, {"identity": BARS, "pad": BARS, "ridge": BARS}, WORDS),
        "histogram": histogram([0.1, 0.15, 0.9], WORDS, [0, 0.25, 0.5, 0.75, 1], {"level": 0.05}),
        "heatmap": axiom_heatmap(Grid(MODELS, AXIOMS, HEAT), WORDS),
        "layers": lines_over_layers(series, WORDS),
        "models": curve_with_band({m: curve(2.0 + i) for i, m in enumerate(MODELS)}, WORDS),
        "one": curve_with_band({"Mistral_7B": curve(4.0)}, WORDS),
        "axioms": curve_with_band({a: curve(1.0) for a in AXIOMS}, WORDS, columns=2),
        "matrix": matrix(square(8, 19.0), WORDS, signed=True),
        "efficiency": matrix(square(6, 600.0), WORDS, signed=True),
        "scatter": scatter_with_labels(points, WORDS),
        "table": table(facts, WORDS),
    }


NAMES = (
    "bars", "grouped", "histogram", "heatmap", "layers", "models", "one", "axioms", "matrix",
    "efficiency", "scatter", "table",
)  # fmt: skip


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    made = every_figure()
    assert tuple(made) == NAMES
    return made


@dataclass(frozen=True)
class Shown:
    """A piece of text that a figure shows, with its box in pixels."""

    text: str
    size: float
    box: tuple[float, float, float, float]
    in_data: bool  # written among the data on purpose: cells, names of points, "absent"


@pytest.fixture(scope="module")
def shown(figures) -> dict[str, list[Shown]]:
    return {name: texts(figure) for name, figure in figures.items()}


def texts(figure: Figure) -> list[Shown]:
    figure.canvas.draw()
    hidden: set[Text] = set()
    inside: set[Text] = set()
    for axes in figure.axes:
        inside |= set(axes.texts)
        if not axes.axison:
            hidden |= set(axes.findobj(Text)) - inside
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9:
                    hidden |= {tick.label1, tick.label2}
    return [
        Shown(item.get_text(), item.get_fontsize(), box(item), item in inside)
        for item in figure.findobj(Text)
        if item.get_visible() and item.get_text().strip() and item not in hidden
    ]


def box(item: Text) -> tuple[float, float, float, float]:
    (x0, y0), (x1, y1) = Text.get_window_extent(item).get_points()
    return x0, y0, x1, y1


@pytest.mark.parametrize("name", NAMES)
def test_no_text_overlaps_another_or_leaves_the_figure(figures, shown, name: str) -> None:
    width, height = figures[name].canvas.get_width_height()
    assert len(shown[name]) > 5
    for item in shown[name]:
        x0, y0, x1, y1 = item.box
        assert min(x0, y0) >= -1 and x1 <= width + 1 and y1 <= height + 1, item.text
    for one, other in itertools.combinations(shown[name], 2):
        assert not meet(one.box, other.box), f"{one.text!r} over {other.text!r}"


def meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    across = min(a[2], b[2]) - max(a[0], b[0])
    upward = min(a[3], b[3]) - max(a[1], b[1])
    return across >= 1 and upward >= 1


@pytest.mark.parametrize("name", NAMES)
def test_labels_and_legends_stay_outside_the_data(figures, shown, name: str) -> None:
    frames = [axes.get_window_extent().extents for axes in figures[name].axes if axes.axison]
    for item in shown[name]:
        assert item.in_data or not any(meet(item.box, frame) for frame in frames), item.text


@pytest.mark.parametrize("name", NAMES)
def test_text_is_large_enough_and_says_what_a_reader_needs(shown, name: str) -> None:
    assert all(item.size >= 9 for item in shown[name])
    words = " ".join(item.text for item in shown[name]).replace("\n", " ")
    assert "n = 560" in words and "jackknife intervals" in words
    if name != "table":
        assert "AQI (points)" in words and "higher is better" in words


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


@pytest.mark.parametrize("name", ["heatmap", "matrix", "efficiency"])
def test_cell_text_is_readable_on_its_colour_and_fits_its_cell(figures, name: str) -> None:
    axes = figures[name].axes[0]
    figures[name].canvas.draw()
    image = axes.images[0]
    (x0, _), (x1, _) = axes.transData.transform([(0, 0), (1, 0)])
    for item in axes.texts:
        j, i = (round(k) for k in item.get_position())
        first, _, third, _ = box(item)
        assert third - first < x1 - x0, item.get_text()
        value = image.get_array()[i, j]
        if not hasattr(value, "mask"):
            back = image.cmap(image.norm(value))[:3]
            assert contrast(back, to_rgb(item.get_color())) >= 4.5


def contrast(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """The contrast ratio of WCAG 2, 1 to 21."""

    def luminance(colour: tuple[float, ...]) -> float:
        parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


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
        "import sys; import mahals.figures as f; assert 'matplotlib' not in sys.modules;"
        "f.png(f.table({'a': ['1']}, f.Labels('t', 'v', 'c')));"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
