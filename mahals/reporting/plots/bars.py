"""Bars: how large is each value, how sure is it, and what would nothing at all have scored?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mahals.reporting.plots.sheet import (  # fmt: skip
    BASELINE,
    COLOURS,
    INK,
    SOFT,
    TEXT,
    Estimates,
    Footnotes,
    Labels,
    as_floats,
    check_given,
    finish,
    sheet,
    style,
    uneven_lengths,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HATCHES = ("", "///", "...", "xxx", "\\\\\\", "ooo")
NIL = 1e-9  # what rounding leaves of 0
FLOOR_SHAPES = ("|", "D", "s", "^", "v", "P", "X", "o")


def bars_with_intervals(
    names: Sequence[str],
    measured: Estimates,
    labels: Labels,
    floors: Mapping[str, Sequence[float | None]] | None = None,
    mark: str | None = None,
) -> Figure:
    """One horizontal bar per name, with its interval, its floors as markers, `mark` in colour.

    `floors` holds one value per name under the words that the legend says ("floor: TF-IDF").
    An absent value has no bar but a letter whose reason stands in the caption. Raises InputError
    when a list is not as long as `names`.
    """
    check_given("names", names)
    if len(measured.values) != len(names):
        raise uneven_lengths("values", len(names), len(measured.values))
    figure = sheet(7.0, 0.75 + 0.36 * len(names))
    axes = figure.add_subplot()
    notes, keys = Footnotes(), {}
    values, low, high = measured.arrays()
    colours = [BASELINE if name == mark else COLOURS[0] for name in names]
    axes.barh(range(len(names)), values, height=0.62, color=colours, alpha=0.85, zorder=2)
    _intervals(axes, range(len(names)), values, low, high)
    for index, value in enumerate(measured.values):
        if value is None:
            _absent(axes, index, notes.mark(measured.reason(index)))
    for number, (floor, row) in enumerate((floors or {}).items()):
        if len(row) != len(names):
            raise uneven_lengths(f"floor {floor}", len(names), len(row))
        shape = FLOOR_SHAPES[number % len(FLOOR_SHAPES)]
        aside = 0.0 if number == 0 else 0.16 * ((number - 1) % 3 - 1)  # equal floors stay apart
        keys[floor] = _floor(axes, as_floats(row), shape, aside)
    _name_axis(axes, list(names), labels)
    if mark is not None:
        from matplotlib.patches import Patch

        keys = {f"baseline model: {mark}": Patch(color=BASELINE, alpha=0.85), **keys}
    return finish(figure, labels, notes.text(), keys)


def grouped_bars(groups: Sequence[str], series: Mapping[str, Estimates], labels: Labels) -> Figure:
    """One group of horizontal bars per name, one bar per series, told apart by hatch and colour.

    A bar of no length is a dot: its value is 0, but for rounding, and not absent.
    """
    check_given("groups", groups)
    figure = sheet(7.0, 0.75 + (0.12 + 0.2 * max(1, len(series))) * len(groups))
    axes = figure.add_subplot()
    notes, keys, dots = Footnotes(), {}, 0
    height = 0.84 / max(1, len(series))
    for number, (name, measured) in enumerate(series.items()):
        if len(measured.values) != len(groups):
            raise uneven_lengths(f"series {name}", len(groups), len(measured.values))
        places = [g + (number - (len(series) - 1) / 2) * height for g in range(len(groups))]
        values, low, high = measured.arrays()
        keys[name] = axes.barh(
            places, values, height=0.9 * height, color=COLOURS[number % len(COLOURS)], alpha=0.85,
            hatch=HATCHES[number % len(HATCHES)], edgecolor="white", linewidth=0, zorder=2,
        )  # fmt: skip
        _intervals(axes, places, values, low, high)
        for place, value, index in zip(places, measured.values, range(len(groups)), strict=True):
            if value is None:
                _absent(axes, place, notes.mark(measured.reason(index)))
        nil = [place for place, value in zip(places, values, strict=True) if abs(value) < NIL]
        colour = COLOURS[number % len(COLOURS)]
        dot = [0.0] * len(nil), nil
        axes.plot(*dot, "o", markersize=4, color=colour, zorder=5, clip_on=False)
        dots += len(nil)
    _name_axis(axes, list(groups), labels)
    return finish(figure, labels, notes.text() + (" Dot: 0." if dots else ""), keys)


def _name_axis(axes: Any, names: list[str], labels: Labels) -> None:
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=3)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    style(axes, "x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(labels.value_axis(False), size=TEXT, color=INK)
    axes.set_ylabel(labels.other, size=TEXT, color=INK)


def _intervals(axes: Any, places: Sequence[float], values: Any, low: Any, high: Any) -> None:
    for place, value, lo, hi in zip(places, values, low, high, strict=True):
        if value == value and lo == lo and hi == hi:
            axes.plot([lo, hi], [place, place], color=INK, linewidth=1.3, zorder=4)
            for end in (lo, hi):
                axes.plot(
                    [end, end], [place - 0.1, place + 0.1], color=INK, linewidth=1.3, zorder=4
                )


def _absent(axes: Any, place: float, letter: str) -> None:
    axes.annotate(
        f"absent ({letter})", (1, place), xytext=(-5, 0), textcoords="offset points", ha="right",
        xycoords=axes.get_yaxis_transform(), va="center", size=TEXT, style="italic", color=SOFT,
        gid="absent",
    )  # fmt: skip


def _floor(axes: Any, row: Any, shape: str, aside: float) -> Any:
    size, width = (13, 2.2) if shape == "|" else (4.5, 1.1)
    places = [place + aside for place in range(len(row))]
    (drawn,) = axes.plot(
        row, places, linestyle="none", marker=shape, markersize=size, zorder=5,
        markerfacecolor="white", markeredgecolor=INK, markeredgewidth=width, gid="floor",
    )  # fmt: skip
    return drawn
