"""Does one measured quantity go with another, point by point?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mahals.reporting.plots.sheet import (
    COLOURS,
    INK,
    SOFT,
    TEXT,
    Labels,
    finish,
    sheet,
    something,
    style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels
OFFSETS: tuple[tuple[float, float, str], ...] = tuple(
    (dx, float(dy), side)  # points from a point to its name, nearest first; the text's alignment
    for dy in (0, 9, -9, 14, -14, 22, -22, 32, -32, 42, -42, 54, -54, 66, -66)
    for dx, side in ((7.0, "left"), (-7.0, "right"))
)


@dataclass(frozen=True)
class Point:
    """One named point, with the interval of `y` where it is known."""

    name: str
    x: float
    y: float
    low: float | None = None
    high: float | None = None


def scatter_with_labels(points: Sequence[Point], labels: Labels) -> Figure:
    """`y` over `x`, each point named beside it, where names and points leave room.

    `labels.other` names the x axis. Correlations belong into the caption, with their interval.
    """
    something("points", points)
    figure = sheet(5.6, 3.6)
    axes = figure.add_subplot()
    for point in points:
        if point.low is not None and point.high is not None:
            axes.plot([point.x] * 2, [point.low, point.high], color=SOFT, linewidth=1.1, zorder=2)
    axes.plot(
        [p.x for p in points], [p.y for p in points], linestyle="none", marker="o",
        markersize=6, color=COLOURS[0], markeredgecolor="white", zorder=3, gid="points",
    )  # fmt: skip
    style(axes, "both")
    axes.margins(x=0.2, y=0.12)
    axes.set_xlabel(labels.other, size=TEXT, color=INK)
    axes.set_ylabel(labels.value_axis(True), size=TEXT, color=INK)
    finish(figure, labels, "", {})
    _name(figure, axes, points)
    return figure


def _name(figure: Figure, axes: Any, points: Sequence[Point]) -> None:
    """Puts each name at the first place around its point that nothing else takes."""
    canvas: Any = figure.canvas
    canvas.draw()  # settles the layout, which the places depend on
    taken: list[Box] = []
    for point in points:
        low, high = (point.y if b is None else b for b in (point.low, point.high))
        (x, y), (_, y0), (_, y1) = axes.transData.transform(
            [(point.x, point.y), (point.x, low), (point.x, high)]
        )
        taken += [(x - 5, y - 5, x + 5, y + 5), (x - 2, y0, x + 2, y1)]
    for point in points:
        taken.append(_place(axes, point, canvas.get_renderer(), taken))


def _place(axes: Any, point: Point, renderer: Any, taken: Sequence[Box]) -> Box:
    """Writes one name and gives the box it takes; beside the point when no place is free."""
    from matplotlib.text import Text

    frame = axes.get_window_extent(renderer)
    for dx, dy, side in (*OFFSETS, OFFSETS[0]):
        text = axes.annotate(
            point.name,
            (point.x, point.y),
            xytext=(dx, dy),
            textcoords="offset points",
            ha=side,
            va="center",
            size=TEXT,
            color=INK,
            arrowprops={"arrowstyle": "-", "color": SOFT, "lw": 0.6} if abs(dy) > 14 else None,
        )
        text.update_positions(renderer)  # the box below leaves the arrow out
        text.set_in_layout(False)
        (x0, y0), (x1, y1) = Text.get_window_extent(text, renderer).get_points()
        inside = frame.x0 <= x0 and x1 <= frame.x1 and frame.y0 <= y0 and y1 <= frame.y1
        if inside and not any(_meet((x0, y0, x1, y1), other) for other in taken):
            return x0, y0, x1, y1
        text.remove()
    axes.add_artist(text)
    return x0, y0, x1, y1


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
