"""Figures of esr_sequential: how do answers that come back move, token by token?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.esr_sequential.rows import Row
from mahals.reporting.plots.sheet import Labels
from mahals.reporting.token_means import aligned_figure, tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {
    "projection": "along the direction, in its length",
    "relevance": "relevance up to there, points",
    "detectors": "detectors, activation",
    "random": "as many random latents, activation",
}


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """curves-<name> of each subject and situation with episodes, the restart at 0."""
    figures: dict[str, Figure] = {}
    for name, table in tables(rows, kept).items():
        if marks := table.where(quantity="mark"):
            begins, ends = (m.mean or 0.0 for m in marks)
            caption = (
                f"The first {marks[0].count} improved episodes, each beside a derailed answer "
                "that never restarts and is longer; tokens that half of them have. 95 % intervals, "
                f"clustered by direction. Dotted: answers begin (mean {begins:.0f}), the restart, "
                f"its clause ends (mean {ends:+.0f})."
            )
            title = f"What moves where an answer comes back, {name}?"
            labels = Labels(title, "mean over answers", caption, other="tokens from the restart")
            figure = aligned_figure(table, TITLES, labels, (begins, 0.0, ends))
            figures[f"curves-{name.replace('/', '-')}"] = figure
    return figures
