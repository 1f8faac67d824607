"""Figures of esr_boost: how do all rates move over the level of steering?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.esr_boost.rows import Row
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.sheet import Estimates, Labels
from mahals.reporting.resistance import POINTS, SAID, SHORT, groups

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """shares_over_level and points_over_level, a panel for each model, subject and source."""
    caption = (
        f"{len(rows)} answers, steered throughout; 0: the threshold, 1: the spread of thresholds "
        "over directions. 95 % jackknife over directions, or Wilson's."
    )
    axis = "level, sd from the threshold"
    shares = Labels("How often does what happen?", "share", caption, None, axis)
    points = Labels("How good are attempts?", "judge's points", caption, None, axis)
    return {
        "shares_over_level": _curves(rows, [n for n in SAID if n not in POINTS], shares),
        "points_over_level": _curves(rows, [n for n in SAID if n in POINTS], points),
    }


def _curves(rows: Sequence[Row], names: Sequence[str], labels: Labels) -> Figure:
    panels = {}
    for own in groups(rows, ("model", "subject", "source")):
        by = groups(own.trials, ("level",))
        arms = {SHORT[n]: Estimates.of([getattr(g.rates, n) for g in by]) for n in names}
        panels[own.name] = Curve([float(g.name) for g in by], arms)
    return curve_with_band(panels, labels, columns=2)
