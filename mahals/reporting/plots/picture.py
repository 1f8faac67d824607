"""Picture: how does a figure say what it is of, and how is it saved, the same bytes each time?"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mahals.reporting.plots.sheet import LINE, SOFT, TEXT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMS: Mapping[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Each form a figure is saved in, and the metadata that would differ from day to day."""

SALT = "mahals"  # else the names inside an SVG are drawn at random
FOOTER = "footer"  # gid of the line that says what a figure is of


def signed(figure: Figure, line: str) -> Figure:
    """The figure with `line` in a band of its own below all that is there; it grows by that band.

    What stands at shares of the figure's height (texts, legends, the room of the axes) keeps its
    size in inches. An empty line changes nothing.
    """
    if not line:
        return figure
    width, old = figure.get_size_inches()
    text = textwrap.fill(line, max(30, int(width * 14.5)))
    band = LINE * (text.count("\n") + 1) + 0.02
    new = old + band

    def lifted(y: float) -> float:
        return float((y * old + band) / new)

    anchors = [_anchor(figure, legend) for legend in figure.legends]
    figure.set_size_inches(width, new)
    for each in figure.texts:
        x, y = each.get_position()
        each.set_position((x, lifted(y)))
    for legend, (x, y) in zip(figure.legends, anchors, strict=True):
        legend.set_bbox_to_anchor((x, lifted(y)))
    _lift_axes(figure, lifted, old / new)
    figure.text(
        0.06 / width, 0.05 / new, text, size=TEXT, color=SOFT, va="bottom", style="italic",
        gid=FOOTER,
    )  # fmt: skip
    return figure


def _anchor(figure: Figure, legend: Any) -> tuple[float, float]:
    """Where a legend's upper left corner is held, in shares of the figure."""
    box = legend.get_bbox_to_anchor()
    x, y = figure.transFigure.inverted().transform((box.x0, box.y0))
    return float(x), float(y)


def _lift_axes(figure: Figure, lifted: Any, shrunk: float) -> None:
    """The room that a layout engine gives the axes; without an engine, the axes themselves."""
    engine: Any = figure.get_layout_engine()
    if engine is not None:
        x, y, wide, high = engine.get().get("rect", (0.0, 0.0, 1.0, 1.0))
        engine.set(rect=(x, lifted(y), wide, high * shrunk))
        return
    for axes in figure.axes:
        box = axes.get_position()
        axes.set_position((box.x0, lifted(box.y0), box.width, box.height * shrunk))


def saved(figure: Figure) -> dict[str, bytes]:
    """The figure in each of FORMS; the same figure gives the same bytes.

    The first form lays the figure out; the others keep its places, so that all show the same.
    """
    from matplotlib import rcParams

    rcParams["svg.hashsalt"] = SALT  # the same at all times, in all threads
    made = {}
    for form, metadata in FORMS.items():
        stream = io.BytesIO()
        figure.savefig(stream, format=form, metadata=metadata)
        figure.set_layout_engine("none")
        made[form] = stream.getvalue()
    return made
