"""Figures of esr_boost: how do all rates move over the level of steering?"""

from collections.abc import Sequence

from mahals.phase import Kept
from mahals.phases.esr_boost.rows import Row
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.sheet import Estimates, Labels
from mahals.reporting.resistance import POINTS, SENTENCE_RATES, SHORT, Figures, groups


def draw(rows: Sequence[Row], kept: Kept) -> Figures:
    """shares_over_level and points_over_level, a panel for each model, subject and source."""
    caption = (
        f"{len(rows)} answers, steered throughout; 0: the threshold, 1: the spread of thresholds "
        "over directions. 95 % jackknife over directions, or Wilson's."
    )
    words = {
        "shares_over_level": ("How often does what happen?", "share"),
        "points_over_level": ("How good are attempts?", "judge's points"),
    }
    figures = {}
    for figure, what in words.items():
        names = [n for n in SENTENCE_RATES if (n in POINTS) == (figure == "points_over_level")]
        panels = {}
        for own in groups(rows, ("model", "subject", "source")):
            by = groups(own.trials, ("level",))
            arms = {SHORT[n]: Estimates.of([getattr(g.rates, n) for g in by]) for n in names}
            panels[own.name] = Curve([float(g.name) for g in by], arms)
        labels = Labels(*what, caption, None, "level, sd from the threshold")
        figures[figure] = curve_with_band(panels, labels, columns=2)
    return figures
