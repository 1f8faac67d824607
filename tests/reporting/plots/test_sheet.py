"""Sheet: can every figure be read: nothing overlaps, is small, or is lost on its colour?"""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import dataclass

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from mahals.records import InputError
from mahals.reporting.plots.bars import bars_with_intervals, grouped_bars
from mahals.reporting.plots.curves import Curve, curve_with_band, lines_over_layers
from mahals.reporting.plots.grids import Grid, table_figure
from mahals.reporting.plots.sheet import Estimates, Labels, Span
from tests.support.sample_figures import NAMES, WORDS


def test_a_long_title_stays_within_its_figure() -> None:
    words = "Cosine of the two states compared, mean_difference over the blocks of each model"
    figure = lines_over_layers({"a": Estimates([1.0, 2.0])}, Labels(words, "cosine", "n = 1"))
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    title = next(text for text in figure.texts if text.get_text().startswith("Cosine"))
    assert title.get_window_extent(renderer).x1 <= figure.bbox.x1


def test_lower_is_better_points_the_other_way() -> None:
    price = Labels("t", "KL (nats per token)", "c", "lower")
    assert "\u2190 lower is better" in price.value_axis(vertical=True)


@pytest.mark.parametrize(
    "draw",
    [
        lambda: bars_with_intervals(["a"], Estimates([1.0, 2.0]), WORDS),
        lambda: bars_with_intervals(["a"], Estimates([math.nan]), WORDS),
        lambda: bars_with_intervals([], Estimates([]), WORDS),
        lambda: bars_with_intervals(["a"], Estimates([1.0]), WORDS, {"floor": []}),
        lambda: Estimates([1.0], lows=[1.0, 2.0]),
        lambda: Grid(["a"], ["b"], [[1.0, 2.0]]),
        lambda: curve_with_band({}, WORDS),
        lambda: curve_with_band({"a": Curve([0, 1], {"x": Estimates([1.0])})}, WORDS),
        lambda: table_figure({"a": ["1"], "b": []}, WORDS),
    ],
)
def test_what_cannot_be_drawn_is_an_input_error(draw) -> None:
    with pytest.raises(InputError, match="figure"):
        draw()


def test_matplotlib_is_imported_late_and_pyplot_never() -> None:
    code = (
        "import sys; from mahals.reporting.plots import grids, picture, sheet;"
        "assert 'matplotlib' not in sys.modules;"
        "picture.saved(grids.table_figure({'a': ['1']}, sheet.Labels('t', 'v', 'c')));"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


WIDE = Estimates([1.0, 1.1], [-40.0, 1.0], [1.2, 70.0])
NARROW = Estimates([1.0, 1.1], [0.9, 1.0], [1.1, 1.2])


SHARED = {"a": Curve([0, 1], {"x": NARROW}), "b": Curve([0, 1], {"x": WIDE})}
FAR = Curve([0, 1], {"x": WIDE}, references={"far": 9e3, "low": -9e3})


@pytest.mark.parametrize(
    "draw",
    [
        lambda: bars_with_intervals(["a", "b"], WIDE, WORDS),
        lambda: grouped_bars(["a", "b"], {"x": NARROW, "y": WIDE}, WORDS),
        lambda: lines_over_layers({"x": NARROW, "y": WIDE}, WORDS),
        lambda: lines_over_layers({"x": NARROW, "y": WIDE, "z": NARROW}, WORDS),
        lambda: curve_with_band({"a": Curve([0, 1], {"x": NARROW}, WIDE)}, WORDS),
        lambda: curve_with_band({"a": Curve([0, 1], {}, flipped={"x": WIDE})}, WORDS),
        lambda: curve_with_band(SHARED, WORDS, share=True),
        lambda: curve_with_band({"a": FAR}, WORDS),
    ],
)
def test_an_axis_is_never_narrower_than_an_interval_on_it(draw) -> None:
    axes = draw().axes[0]
    names_down = axes.get_ylim()[0] > axes.get_ylim()[1]  # of bars, whose values go across
    low, high = axes.get_xlim() if names_down else axes.get_ylim()
    assert low <= -40 and high >= 70


QUICK = ("grouped", "heatmap", "one")
KINDS = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
CELLS = [
    kind
    for name, kind in zip(NAMES, KINDS, strict=True)
    if name in ("heatmap", "matrix", "efficiency")
]


@dataclass(frozen=True)
class Shown:
    """A piece of text that a figure shows, with its box in pixels."""

    text: str
    size: float
    box: tuple[float, float, float, float]
    in_data: bool  # written among the data on purpose: cells, names of points, "absent"


class Drawn(dict[str, list[Shown]]):
    """The texts of each figure, drawn when they are first asked for."""

    def __init__(self, figures: dict[str, Figure]) -> None:
        super().__init__()
        self._figures = figures

    def __missing__(self, name: str) -> list[Shown]:
        self[name] = texts(self._figures[name])
        return self[name]


@pytest.fixture(scope="module")
def shown(figures) -> Drawn:
    return Drawn(figures)


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


@pytest.mark.parametrize("name", KINDS)
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


@pytest.mark.parametrize("name", KINDS)
def test_labels_and_legends_stay_outside_the_data(figures, shown, name: str) -> None:
    frames = [axes.get_window_extent().extents for axes in figures[name].axes if axes.axison]
    for item in shown[name]:
        assert item.in_data or not any(meet(item.box, frame) for frame in frames), item.text


@pytest.mark.parametrize("name", KINDS)
def test_text_is_large_enough_and_says_what_a_reader_needs(shown, name: str) -> None:
    assert all(item.size >= 9 for item in shown[name])
    words = " ".join(item.text for item in shown[name]).replace("\n", " ")
    assert "n = 560" in words and "jackknife intervals" in words
    if name not in ("table", "nothing"):
        assert "AQI (points)" in words and "higher is better" in words


@pytest.mark.parametrize("name", CELLS)
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


def test_an_absent_interval_is_drawn_absent_with_its_reason() -> None:
    drawn = Estimates.of([Span(0.25, -0.125, 0.625), None], "not asked")
    assert (list(drawn.values), list(drawn.lows)) == ([0.25, None], [-0.125, None])
    assert list(drawn.highs) == [0.625, None]
    assert list(drawn.reasons) == [None, "not asked"]


def test_draws_are_their_mean_from_the_lowest_to_the_highest() -> None:
    drawn = Estimates.over([[1.0, 2.0, 6.0], []])
    assert (list(drawn.values), list(drawn.lows)) == ([3.0, None], [1.0, None])
    assert list(drawn.highs) == [6.0, None]
