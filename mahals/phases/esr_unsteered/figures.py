"""Figures of esr_unsteered: how good are unsteered answers, and how often do they restart?"""

from collections.abc import Sequence

from mahals.phase import Kept
from mahals.phases.esr_unsteered.rows import Row
from mahals.reporting.plots.sheet import Labels
from mahals.reporting.resistance import Figures, groups, rates_figure

RESTARTS = ("multi_attempt_rate", "false_restart_rate", "degenerate_share")


def draw(rows: Sequence[Row], kept: Kept) -> Figures:
    """first_scores and false_restarts, by model."""
    caption = f"{len(rows)} sampled answers, no steering. 95 % intervals over prompts, or Wilson's."
    by_model = groups(rows, ("model",))
    scores = Labels("How good are unsteered answers?", "judge's score, 0 to 100", caption, "higher")
    restarts = Labels("How often do unsteered answers restart?", "share", caption, "lower")
    return {
        "first_scores": rates_figure(by_model, ("first_score",), scores),
        "false_restarts": rates_figure(by_model, RESTARTS, restarts),
    }
