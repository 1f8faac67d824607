"""Figures of replication: where does each training put a claim, and where do all together?

Numbers of different units stand on one axis: each divided by half of its own 95 % interval, the
mean over trainings, so that beyond 1 a training's interval does not hold 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
LIKENESS = "homophily"  # of levels that are all above 0: that it is above 0 is no finding
NARROWEST = 1e-9  # half an interval that a claim is divided by: rounding alone is narrower


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """Pure, as `summarize`: a forest of the board's lines, and one of the gaps of each phase."""
    found, of = claims(rows), len({row.training for row in rows})
    board = [claim for claim in latest(found) if claim.over is not None]
    figures = {}
    if board:
        spots = [Spots.of(claim, 1.0, of) for claim in best(board)]
        figures["board"] = forest(spots, "gap over the null arms")
    for phase in dict.fromkeys(row.phase for row in rows):
        own = [claim for claim in found if claim.phase == phase and not claim.is_line]
        spots = [
            Spots.of(claim, half, of)
            for claim in best(own)
            if claim.held
            and claim.over is not None
            and (half := _half_width(claim)) > NARROWEST
            and not claim.name.startswith(LIKENESS)
        ]
        if spots:
            figures[phase] = forest(spots, f"{phase}: number over half of its interval")
    return figures


@dataclass(frozen=True)
class Spots:
    """A claim as it is drawn: every number divided by `unit`."""

    name: str
    trainings: tuple[float, ...]
    mean: float
    ends: tuple[float, float] | None  # 95 % between trainings; None where they are alike

    @classmethod
    def of(cls, claim: Claim, unit: float, trainings: int) -> Spots:
        """Of a claim that more than one training made."""
        assert claim.over is not None
        span = claim.interval
        return cls(
            f"{claim.name}  {claim.held} of {trainings}",
            tuple(each.value / unit for each in claim.estimates),
            claim.over.mean / unit,
            None if span is None else (span.low / unit, span.high / unit),
        )


def _half_width(claim: Claim) -> float:
    """Half of a claim's own 95 % interval, over prompts and draws; the mean over trainings."""
    ends = [(e.low, e.high) for e in claim.estimates]
    widths = [high - low for low, high in ends if low is not None and high is not None]
    return sum(widths) / len(widths) / 2 if widths else 0.0


def forest(found: Sequence[Spots], value: str) -> Figure:
    """A row a claim: a dot a training, the mean, and 95 % between trainings where they differ."""
    shown = found[:MOST]
    figure = sheet(7.5, 0.8 + 0.27 * len(shown))
    axes = figure.add_subplot()
    for place, claim in enumerate(shown):
        values = list(claim.trainings)
        (mean,) = axes.plot([claim.mean], [place], "D", color=INK, markersize=5, zorder=3)
        (dots,) = axes.plot(
            values, [place] * len(values), "o", color=COLOURS[1], markersize=4, zorder=4
        )
        if claim.ends is not None:
            axes.plot(claim.ends, [place, place], color=INK, linewidth=1.3, zorder=2)
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=1)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_yticks(range(len(shown)), [claim.name for claim in shown])
    style(axes, "x")
    left = f" The first {len(shown)} of {len(found)}." if len(found) > len(shown) else ""
    caption = (
        f"A dot is a training; the line is the 95 % interval of their mean "
        "(t over trainings, none where they are alike). Beside the name: the trainings in which "
        f"it holds.{left}"
    )
    labels = Labels("What holds when organisms are trained again", value, caption)
    axes.set_xlabel(labels.value_axis(False), size=TEXT, color=INK)
    return finish(figure, labels, "", {"one training": dots, "mean": mean})
