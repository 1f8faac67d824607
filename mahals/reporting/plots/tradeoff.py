"""Tradeoff: what does each vector buy at its doses, and at what price?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mahals.reporting.plots.curves import CHOSEN, level, ring
from mahals.reporting.plots.sheet import (  # fmt: skip
    INK,
    SOFT,
    TEXT,
    Estimates,
    Labels,
    check_given,
    finish,
    sheet,
    stroke,
    style,
    uneven_lengths,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = (  # of each family of nulls
    {"marker": "o", "color": "#8f8f8f"},
    {"marker": "^", "color": "#8a6a3a"},
    {"marker": "s", "color": "#b59ac7"},
)
LANDMARKS = ("P", "*", "X", "h")
OVER = "over the ceiling"
WIDE = 3.0  # prices whose largest is more than so many times the least are drawn by their logarithm
TICKS = (0.5, 0.7, 1, 1.2, 1.5, 2, 3, 5, 7, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Path:
    """One vector at its doses, in the order in which its points are joined."""

    prices: Sequence[float]
    measured: Estimates  # what it buys; higher is better
    over: Sequence[bool] = ()  # whether a point is over the ceiling
    chosen: int | None = None  # the place of the dose that was chosen on the selection split
    look: int | None = None  # which colour and marker; None: by its place among the paths

    def __post_init__(self) -> None:
        """Raises InputError unless there is one price, and one mark where given, per value."""
        for name, given in (("prices", self.prices), ("over", self.over or self.prices)):
            if len(given) != len(self.measured.values):
                raise uneven_lengths(name, len(self.measured.values), len(given))


@dataclass(frozen=True)
class Tradeoff:
    """One panel: what is bought over its price, by each path, by nulls, by landmarks."""

    paths: Mapping[str, Path]  # joined by solid lines
    own: Mapping[str, Path] = field(default_factory=dict)  # the same, black: told apart from paths
    flipped: Mapping[str, Path] = field(default_factory=dict)  # dashed, open markers
    dots: Mapping[str, Sequence[tuple[float, float]]] = field(default_factory=dict)  # null arms
    landmarks: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # price and value
    levels: Mapping[str, float] = field(default_factory=dict)  # values without a price


def value_over_price(panels: Mapping[str, Tradeoff], labels: Labels, columns: int = 2) -> Figure:
    """One panel per name (a target): the lines of its vectors, nulls as small dots, references.

    Up is better, and so is left: `labels.other` names the price. Each panel has its own prices, all
    have one scale of values. Prices that lie far apart are drawn by their logarithm.
    """
    check_given("panels", panels)
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = sheet(7.0 if columns > 1 else 5.6, 2.5 * rows + (0.7 if rows == 1 else 0.3))
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    keys: dict[str, Any] = {}
    for number, axes in enumerate(grid.flat):
        if number >= len(panels):
            axes.set_axis_off()
            continue
        name = list(panels)[number]
        _panel(axes, panels[name], keys)
        style(axes, "both")
        _price_axis(axes, panels[name])
        axes.set_title(name, size=TEXT, weight="bold", color=INK, loc="left", pad=3)
        axes.locator_params(axis="y", nbins=5)
        if number % columns == 0:
            axes.set_ylabel(labels.value_axis(True), size=TEXT, color=INK)
    return finish(figure, labels, "", _ordered(keys, panels), labels.other)


def _ordered(keys: Mapping[str, Any], panels: Mapping[str, Tradeoff]) -> dict[str, Any]:
    """The legend's keys: paths first, in the order of their looks, then what they stand beside."""
    looks = {
        name: number if p.look is None else p.look
        for panel in panels.values()
        for number, (name, p) in enumerate(panel.paths.items())
    }
    own = [name for name in keys if any(name in p.own for p in panels.values())]
    first = [*own, *sorted((n for n in keys if n in looks), key=lambda n: looks[n])]
    return {name: keys[name] for name in [*first, *(n for n in keys if n not in first)]}


def _panel(axes: Any, panel: Tradeoff, keys: dict[str, Any]) -> None:
    axes.axhline(0, color=SOFT, linewidth=0.8, zorder=1)
    for number, (name, path) in enumerate(panel.paths.items()):
        _path(axes, name, path, stroke(number if path.look is None else path.look), keys)
    for name, path in panel.own.items():
        _path(axes, name, path, {"color": INK, "marker": "h", "linestyle": "-"}, keys)
    for number, (name, path) in enumerate(panel.flipped.items()):
        look = stroke(number if path.look is None else path.look)
        _path(axes, name, path, look | {"linestyle": "--", "markerfacecolor": "white"}, keys)
    for number, (name, points) in enumerate(panel.dots.items()):
        look = DOTS[number % len(DOTS)]
        x, y = [p[0] for p in points], [p[1] for p in points]
        (dots,) = axes.plot(
            x, y, linestyle="none", markersize=3.5, alpha=0.55, zorder=2, gid="null", **look
        )
        keys.setdefault(name, dots)
    for number, (name, (price, value)) in enumerate(panel.landmarks.items()):
        (mark,) = axes.plot(
            [price], [value], linestyle="none", marker=LANDMARKS[number % len(LANDMARKS)],
            markersize=9, markerfacecolor="#e69f00", markeredgecolor=INK, markeredgewidth=0.8,
            zorder=6, clip_on=False, gid="landmark",
        )  # fmt: skip
        keys.setdefault(name, mark)
    for number, (name, value) in enumerate(panel.levels.items()):
        keys.setdefault(name, level(axes, value, number + 1))


def _path(axes: Any, name: str, path: Path, look: Mapping[str, Any], keys: dict[str, Any]) -> None:
    """A line through the doses of a vector, a whisker at each; crossed out over the ceiling."""
    values, low, high = path.measured.arrays()
    axes.vlines(path.prices, low, high, color=look["color"], alpha=0.45, linewidth=1.0, zorder=3)
    (line,) = axes.plot(
        path.prices, values, linewidth=1.5, markersize=5, zorder=4, gid="path", **look
    )
    keys.setdefault(name, line)
    over = [i for i, beyond in enumerate(path.over) if beyond]
    if over:
        (crossed,) = axes.plot(
            [path.prices[i] for i in over], values[over], "x", markersize=9, color=INK,
            markeredgewidth=1.2, zorder=5, gid="over",
        )  # fmt: skip
        keys.setdefault(OVER, crossed)
    if path.chosen is not None:
        at = [path.prices[path.chosen]], [path.measured.values[path.chosen]]
        keys.setdefault(CHOSEN, ring(axes, *at))


def _prices(panel: Tradeoff) -> list[float]:
    lines = [*panel.paths.values(), *panel.own.values(), *panel.flipped.values()]
    dots = [x for points in panel.dots.values() for x, _ in points]
    return [*(x for p in lines for x in p.prices), *dots, *(x for x, _ in panel.landmarks.values())]


def _price_axis(axes: Any, panel: Tradeoff) -> None:
    """Plain numbers on the price axis; a logarithm where prices lie far apart."""
    known = _prices(panel)
    axes.ticklabel_format(axis="x", useOffset=False)
    if not known or min(known) <= 0 or max(known) <= WIDE * min(known):
        axes.locator_params(axis="x", nbins=4)
        return
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    inside = [t for t in TICKS if low <= t <= high]
    axes.set_xticks(inside, [f"{t:g}" for t in inside])
    axes.set_xticks([], minor=True)
