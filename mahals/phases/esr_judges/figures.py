"""Figures of esr_judges: what does each judge know, and on what do any two agree?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.esr_judges.report import NAMES, TITLES
from mahals.phases.esr_judges.rows import Row
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.sheet import Estimates, Labels
from mahals.reporting.resistance import POINTS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHEETS = {
    "known": (("planted", "labelled"), "What does each judge know?"),
    "agreement": (("pair",), "On what do any two judges agree?"),
    "rates": (("rates", "exchanged"), "Which rates does each judge give?"),
    "scores": (("rates", "exchanged"), "How does each judge score?"),
}
CAPTION = "95 % intervals: Wilson's, DeLong's, Fisher's, or a jackknife over directions."


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """known, agreement, rates and scores (in points), a group of bars for each judge or pair."""
    figures: dict[str, Figure] = {}
    for sheet, (whats, title) in SHEETS.items():
        own = [r for r in rows if r.what in whats and r.quantity]
        own = [r for r in own if (r.quantity in POINTS) == (sheet == "scores")]
        at = {(f"{r.model}, {r.judges}\n{TITLES[r.what]}".strip(), r.quantity): r for r in own}
        names, series = list(dict.fromkeys(name for name, _ in at)), dict[str, Estimates]()
        for quantity in dict.fromkeys(r.quantity for r in own):
            some = [at.get((name, quantity)) or Row("", "", "", "") for name in names]
            values = ([getattr(r, x) for r in some] for x in ("estimate", "low", "high", "why"))
            series[NAMES.get(quantity, quantity)] = Estimates(*values)
        labels = Labels(title, "points" if sheet == "scores" else "share, or coefficient", CAPTION)
        if own:
            figures[sheet] = grouped_bars(names, series, labels)
    return figures
