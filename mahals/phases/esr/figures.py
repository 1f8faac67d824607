"""Figures of esr: who restarts in which situation, and how good is what follows?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.esr.rows import Row
from mahals.reporting.plots.sheet import Labels
from mahals.reporting.resistance import groups, rates_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DETECTION = ("multi_attempt_rate", "recovery_multi", "sham_improvement")
SHAM = " Sham: one-attempt answers that score higher after an arbitrary cut."
SCORES = ("first_score", "last_score", "mean_improvement_multi")


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """rates-<subject> and scores-<subject> by situation; of several models those of `free`."""
    several = len({t.model for t in rows}) > 1
    shown = [t for t in rows if not several or t.situation == "free"]
    figures: dict[str, Figure] = {}
    for own in groups(shown, ("subject",)):
        subject = own.trials[0].subject
        by = groups(own.trials, ("model", "situation", "source"))
        caption = f"{own.rates.n} answers; 95 % jackknife over directions, or Wilson's."
        title = f"{subject}: when does it restart, and come back?"
        rates = Labels(title, "share", caption + SHAM)
        scores = Labels(f"{subject}: how good are attempts?", "judge's points", caption, "higher")
        figures[f"rates-{subject}"] = rates_figure(by, DETECTION, rates)
        figures[f"scores-{subject}"] = rates_figure(by, SCORES, scores)
    return figures
