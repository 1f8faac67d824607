"""Curves: how does a value move over layers or strengths, and does it leave the random band?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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

BAND = "random directions"  # the name of a band that has no other
BANDS = (  # of each band: its area, its middle line
    ({"facecolor": "#9a9a9a", "alpha": 0.35, "linewidth": 0}, {"color": "#6e6e6e"}),
    (
        {"facecolor": "none", "edgecolor": "#8a6a3a", "alpha": 0.6, "linewidth": 0.6,
         "hatch": "////"},
        {"color": "#8a6a3a", "linestyle": "--"},
    ),
)  # fmt: skip
LEVELS: Sequence[Mapping[str, Any]] = (  # of each reference; equal ones show in turn
    {"color": INK, "linestyle": (0, (1, 1.5))},
    {"color": "#cc79a7", "linestyle": (0, (3, 3))},
    {"color": "#009e73", "linestyle": (3, (3, 3))},
    {"color": SOFT, "linestyle": (0, (6, 2, 1, 2))},
)
CHOSEN = "dose chosen on the selection split"
UP, DOWN = "\u2191", "\u2193"
FAR = 3.0  # a reference that would leave the arms less than 1 / FAR of the axis is not drawn


@dataclass(frozen=True)
class Curve:
    """One panel: arms over `x`, against bands of null arms and horizontal references."""

    x: Sequence[float]
    arms: Mapping[str, Estimates]  # drawn solid: the steered arms
    band: Estimates | Mapping[str, Estimates] | None = None
    """Middle, low and high of the random arms; of several families of nulls by name."""
    flipped: Mapping[str, Estimates] = field(default_factory=dict)  # drawn dashed, open markers
    references: Mapping[str, float] = field(default_factory=dict)  # unsteered, aligned checkpoint
    chosen: Mapping[str, float] = field(default_factory=dict)  # the x to be marked on an arm

    @property
    def bands(self) -> Mapping[str, Estimates]:
        """The bands by name."""
        if self.band is None:
            return {}
        return {BAND: self.band} if isinstance(self.band, Estimates) else self.band


def lines_over_layers(series: Mapping[str, Estimates], labels: Labels) -> Figure:
    """A layer profile: one line per name, from the first block to the last.

    Models of one depth share an axis of block numbers; with different depths the axis is the
    relative depth (l + 1) / L, in (0, 1]. An absent layer is a gap in the line.
    """
    check_given("series", series)
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
    """Small multiples, one panel per name (model or axiom): arms, bands of nulls, references.

    Every panel names its own value range unless `share`; there a reference far from the arms is
    written at its edge, with an arrow and its value, instead of drawn. `labels.other` names the
    x axis with its unit. Raises InputError when a list is not as long as its panel's x.
    """
    check_given("panels", panels)
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
        _references(axes, panels[name], keys, share)
        style(axes, "both")
        axes.set_title(name, size=TEXT, weight="bold", color=INK, loc="left", pad=3)
        axes.locator_params(axis="y", nbins=5)
        below = number + columns >= len(panels)
        axes.tick_params(axis="x", labelbottom=below)
        if number % columns == 0:
            axes.set_ylabel(labels.value_axis(True), size=TEXT, color=INK)
    return finish(figure, labels, "", keys, labels.other)


def _panel(axes: Any, curve: Curve, keys: dict[str, Any]) -> None:
    for number, (name, measured) in enumerate(curve.bands.items()):
        _check(name, curve, measured)
        keys.setdefault(name, _band(axes, curve.x, measured, number))
    for number, (name, measured) in enumerate(curve.arms.items()):
        _check(name, curve, measured)
        line = _line(axes, curve.x, measured, stroke(number), len(curve.arms) <= 2)
        keys.setdefault(name, line)
    for number, (name, measured) in enumerate(curve.flipped.items()):
        _check(name, curve, measured)
        look = {**stroke(number), "linestyle": "--", "markerfacecolor": "white"}
        keys.setdefault(name, _line(axes, curve.x, measured, look, True))
    for name, x in curve.chosen.items():
        at = [x], [curve.arms[name].values[list(curve.x).index(x)]]
        keys.setdefault(CHOSEN, ring(axes, *at))


def _band(axes: Any, x: Sequence[float], measured: Estimates, number: int) -> Any:
    """The range of a family of nulls and its mean; the second family is hatched."""
    area, middle = BANDS[number % len(BANDS)]
    values, low, high = measured.arrays()
    axes.plot(x, values, linewidth=1.0, zorder=2, gid="random mean", **middle)
    return axes.fill_between(x, low, high, zorder=1, **area)


def ring(axes: Any, x: Sequence[float], y: Sequence[Any]) -> Any:
    """An open circle around a point: the dose that was chosen on the selection split."""
    (drawn,) = axes.plot(
        x, y, "o", markersize=9, markerfacecolor="none", markeredgecolor=INK,
        markeredgewidth=1.2, zorder=5, clip_on=False, gid="chosen",
    )  # fmt: skip
    return drawn


def _references(axes: Any, curve: Curve, keys: dict[str, Any], share: bool) -> None:
    """Horizontal lines; those far above or below the arms as text at that edge of the panel."""
    import numpy as np

    given = [*curve.arms.values(), *curve.flipped.values(), *curve.bands.values()]
    known = np.concatenate([bound for measured in given for bound in measured.arrays()] or [[]])
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    far: dict[bool, list[str]] = {True: [], False: []}
    for number, (name, value) in enumerate(curve.references.items()):
        reach = max(high, value) - min(low, value)
        if not share and high > low and reach > FAR * (high - low):
            arrow = UP if value > high else DOWN
            far[value > high].append(f"{name} {value:z.3g} {arrow}")
            continue
        line = level(axes, value, number)
        keys.setdefault(name, line)
    for above, words in far.items():
        if words:
            _edge(axes, words, above)


def level(axes: Any, value: float, number: int) -> Any:
    """The horizontal line of the reference `number`."""
    line = axes.axhline(value, linewidth=1.5, zorder=2, **LEVELS[number % len(LEVELS)])
    line.set_gid("reference")
    return line


def _edge(axes: Any, words: Sequence[str], above: bool) -> None:
    """Names what lies beyond the upper or the lower edge, in room of its own."""
    bottom, top = axes.get_ylim()
    room = (top - bottom) * 0.15 * len(words)
    axes.set_ylim((bottom, top + room) if above else (bottom - room, top))
    axes.text(
        0.98, 0.98 if above else 0.02, "\n".join(words), size=TEXT, color=INK, ha="right",
        va="top" if above else "bottom", transform=axes.transAxes, gid="far reference",
    )  # fmt: skip


def _check(name: str, curve: Curve, measured: Estimates) -> None:
    if len(measured.values) != len(curve.x):
        raise uneven_lengths(name, len(curve.x), len(measured.values))


def _line(
    axes: Any, x: Sequence[float], measured: Estimates, look: Mapping[str, Any], band: bool
) -> Any:
    """A line with its intervals: as a pale band, or as whiskers where bands would pile up."""
    values, low, high = measured.arrays()
    if measured.lows and measured.highs and not band:
        axes.vlines(x, low, high, color=look["color"], alpha=0.6, linewidth=1.0, zorder=2)
    elif measured.lows and measured.highs:
        axes.fill_between(x, low, high, color=look["color"], alpha=0.13, linewidth=0, zorder=1)
    (line,) = axes.plot(x, values, linewidth=1.5, markersize=4, zorder=3, **look)
    return line
