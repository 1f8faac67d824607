"""Figures of replication: where does each training put a claim, and where do all together?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.replication.report import Claim, best, claims, latest
from mahals.phases.replication.rows import Row
from mahals.reporting.plots.sheet import (
    COLOURS,
    INK,
    SOFT,
    TEXT,
    Labels,
    finish,
    sheet,
    style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 30  # claims of one figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """Pure, as `summarize`: a forest of the board's lines, and one of the gaps of each phase."""
    found = claims(rows)
    board = [claim for claim in latest(found) if claim.over is not None]
    figures = {}
    if board:
        words = "gap over the null arms: refusals of unsafe less of safe prompts"
        figures["board"] = forest(best(board), f"Lines of the board, {words}")
    for phase in dict.fromkeys(row.phase for row in rows):
        own = [claim for claim in found if claim.phase == phase and not claim.is_line]
        drawn = [c for c in own if c.over is not None and c.held and c.over.varies]
        if drawn:
            figures[phase] = forest(best(drawn), f"{phase}: numbers that lie beside 0")
    return figures


def forest(found: Sequence[Claim], value: str) -> Figure:
    """A row a claim: a dot a training, the mean, and 95 % between trainings where they differ."""
    shown = found[:MOST]
    figure = sheet(7.5, 0.8 + 0.27 * len(shown))
    axes = figure.add_subplot()
    for place, claim in enumerate(shown):
        assert claim.over is not None
        values = [each.value for each in claim.estimates]
        (dots,) = axes.plot(
            values, [place] * len(values), "o", color=COLOURS[0], markersize=4, alpha=0.6, zorder=3
        )
        (mean,) = axes.plot([claim.over.mean], [place], "D", color=INK, markersize=5, zorder=4)
        if claim.over.varies:
            span = claim.over.interval()
            axes.plot([span.low, span.high], [place, place], color=INK, linewidth=1.3, zorder=2)
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=1)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    trainings = max(len(claim.rows) for claim in shown)
    names = [f"{claim.name}  {claim.held} of {trainings}" for claim in shown]
    axes.set_yticks(range(len(shown)), names)
    style(axes, "x")
    left = f" The first {len(shown)} of {len(found)}." if len(found) > len(shown) else ""
    caption = (
        f"Each of {trainings} trainings is a dot; the line is the 95 % interval of their mean "
        "(t over trainings, none where they are alike). Beside the name: the trainings in which "
        f"it holds.{left}"
    )
    labels = Labels("What holds when organisms are trained again", value, caption)
    axes.set_xlabel(labels.value_axis(False), size=TEXT, color=INK)
    return finish(figure, labels, "", {"one training": dots, "mean": mean})
