"""How does a value move over layers or strengths, and does it leave the band of random arms?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mahals.figures.sheet import (
    INK,
    SOFT,
    STROKES,
    TEXT,
    Labels,
    Measured,
    finish,
    sheet,
    something,
    stroke,
    style,
    uneven,
)  # fmt: skip

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BAND = "#9a9a9a"


@dataclass(frozen=True)
class Curve:
    """One panel: arms over `x`, against the random arms and horizontal references."""

    x: Sequence[float]
    arms: Mapping[str, Measured]  # drawn solid: the steered arms
    band: Measured | None = None  # middle, low and high of the random arms
    flipped: Mapping[str, Measured] = field(default_factory=dict)  # drawn dashed, open markers
    references: Mapping[str, float] = field(default_factory=dict)  # unsteered, aligned checkpoint


def lines_over_layers(series: Mapping[str, Measured], labels: Labels) -> Figure:
    """A layer profile: one line per name, from the first block to the last.

    Models of one depth share an axis of block numbers; with different depths the axis is the
    relative depth (l + 1) / L, in (0, 1]. An absent layer is a gap in the line.
    """
    something("series", series)
    depths = {len(measured.values) for measured in series.values()}
    relative = len(depths) > 1
    figure = sheet(7.0, 3.2)
    axes = figure.add_subplot()
    keys = {}
    for number, (name, measured) in enumerate(series.items()):
        depth = len(measured.values)
        x = [(block + 1) / depth if relative else block for block in range(depth)]
        keys[name] = _line(axes, x, measured, stroke(number), len(series) <= 2)
    style(axes, "both")
    axes.axhline(0, color=SOFT, linewidth=0.8, zorder=1)
    if not relative:
        whole: Any = axes.xaxis.get_major_locator()
        whole.set_params(integer=True)
    axes.set_xlabel(
        "relative depth (block / blocks)" if relative else "block", size=TEXT, color=INK
    )
    axes.set_ylabel(labels.value_axis(True), size=TEXT, color=INK)
    return finish(figure, labels, "", keys)


def curve_with_band(
    panels: Mapping[str, Curve], labels: Labels, columns: int = 3, share: bool = False
) -> Figure:
    """Small multiples, one panel per name (model or axiom): arms, random band, references.

    Every panel names its own value range unless `share`. `labels.other` names the x axis with
    its unit. Raises InputError when a list is not as long as its panel's x.
    """
    something("panels", panels)
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = sheet(7.0 if columns > 1 else 5.0, 2.15 * rows + (0.9 if rows == 1 else 0.3))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=share)
    keys: dict[str, Any] = {}
    for number, axes in enumerate(grid.flat):
        if number >= len(panels):
            axes.set_axis_off()
            continue
        name = list(panels)[number]
        _panel(axes, panels[name], keys)
        style(axes, "both")
        axes.set_title(name, size=TEXT, weight="bold", color=INK, loc="left", pad=3)
        axes.locator_params(axis="y", nbins=5)
        below = number + columns >= len(panels)
        axes.tick_params(axis="x", labelbottom=below)
        if number % columns == 0:
            axes.set_ylabel(labels.value_axis(True), size=TEXT, color=INK)
    return finish(figure, labels, "", keys, labels.other)


def _panel(axes: Any, curve: Curve, keys: dict[str, Any]) -> None:
    if curve.band is not None:
        _check("random band", curve, curve.band)
        middle, low, high = curve.band.arrays()
        area = axes.fill_between(curve.x, low, high, color=BAND, alpha=0.35, linewidth=0, zorder=1)
        axes.plot(curve.x, middle, color="#6e6e6e", linewidth=1.0, zorder=2, gid="random mean")
        keys.setdefault("random directions", area)
    for number, (name, measured) in enumerate(curve.arms.items()):
        _check(name, curve, measured)
        line = _line(axes, curve.x, measured, stroke(number), len(curve.arms) <= 2)
        keys.setdefault(name, line)
    for number, (name, measured) in enumerate(curve.flipped.items()):
        _check(name, curve, measured)
        look = {**stroke(number), "linestyle": "--", "markerfacecolor": "white"}
        keys.setdefault(name, _line(axes, curve.x, measured, look, True))
    for number, (name, value) in enumerate(curve.references.items()):
        line = axes.axhline(value, color=INK, linestyle=STROKES[3 - number % 3], linewidth=1.3)
        line.set_gid("reference")
        keys.setdefault(name, line)


def _check(name: str, curve: Curve, measured: Measured) -> None:
    if len(measured.values) != len(curve.x):
        raise uneven(name, len(curve.x), len(measured.values))


def _line(
    axes: Any, x: Sequence[float], measured: Measured, look: Mapping[str, Any], band: bool
) -> Any:
    """A line with its intervals: as a pale band, or as whiskers where bands would pile up."""
    values, low, high = measured.arrays()
    if measured.lows and measured.highs and not band:
        axes.vlines(x, low, high, color=look["color"], alpha=0.6, linewidth=1.0, zorder=2)
    elif measured.lows and measured.highs:
        axes.fill_between(x, low, high, color=look["color"], alpha=0.13, linewidth=0, zorder=1)
    (line,) = axes.plot(x, values, linewidth=1.5, markersize=4, zorder=3, **look)
    return line
