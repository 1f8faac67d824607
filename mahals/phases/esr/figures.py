"""Figures of esr: who restarts in which situation, and how good is what follows?"""

from collections.abc import Sequence

from mahals.phase import Kept
from mahals.phases.esr.rows import Row
from mahals.reporting.plots.sheet import Labels
from mahals.reporting.resistance import Figures, groups, rates_figure

DETECTION = ("multi_attempt_rate", "recovery_multi", "sham_improvement")
SHAM = " Sham: one-attempt answers that score higher after an arbitrary cut."
SCORES = ("first_score", "last_score", "mean_improvement_multi")


def draw(rows: Sequence[Row], kept: Kept) -> Figures:
    """rates-<subject> and scores-<subject> by situation; of several models those of `free`."""
    several, figures = len({t.model for t in rows}) > 1, {}
    for own in groups((t for t in rows if not several or t.situation == "free"), ("subject",)):
        subject = own.trials[0].subject
        by = groups(own.trials, ("model", "situation", "source"))
        caption = f"{own.rates.n} answers; 95 % jackknife over directions, or Wilson's."
        title = f"{subject}: when does it restart, and come back?"
        rates = Labels(title, "share", caption + SHAM)
        scores = Labels(f"{subject}: how good are attempts?", "judge's points", caption, "higher")
        figures[f"rates-{subject}"] = rates_figure(by, DETECTION, rates)
        figures[f"scores-{subject}"] = rates_figure(by, SCORES, scores)
    return figures
