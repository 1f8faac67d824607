"""Figures of esr_ablation: who restarts and comes back with which latents held?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.esr_ablation.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.held_sets import KINDS, beyond_random, by_kind, held_arms
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.sheet import Estimates, Labels
from mahals.reporting.resistance import SHORT, groups, rates_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = ("multi_attempt_rate", "esr_rate")
OVER = Labels(
    "What do the detectors do beyond random sets?",
    "change of a share",
    "95 % intervals, t over random sets, with what directions add.",
)
FEW = "too few sets or trials, or nothing varies"


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """first_scores-, rates- and over_random-<subject>: by situation and what is held."""
    figures: dict[str, Figure] = {}
    for subject in dict.fromkeys(t.subject for t in rows):
        own = [t for t in rows if t.subject == subject]
        arms = groups(by_kind(own), ("model", "situation", "ablated"))
        caption = f"{sum(t.line is not None for t in own)} answers; 95 % jackknife over directions."
        first = Labels(f"{subject}: how far off is it first?", "judge's points", caption)
        rates = Labels(f"{subject}: does it restart, and come back?", "share", caption)
        figures[f"first_scores-{subject}"] = rates_figure(arms, ("first_score",), first)
        figures[f"rates-{subject}"] = rates_figure(arms, SHARES, rates)
        held = held_arms(Evidence(own, kept))
        pairs = [(arms, kind) for arms in held for kind in KINDS if arms.sets(kind)]
        names = [", ".join((*arms.key, f"over sets of {KINDS[kind]}")) for arms, kind in pairs]
        gains = {n: [beyond_random(*pair, n) for pair in pairs] for n in SHARES}
        spans = {n: [g.interval if g else None for g in some] for n, some in gains.items()}
        series = {SHORT[n]: Estimates.of(some, FEW) for n, some in spans.items()}
        if pairs:
            figures[f"over_random-{subject}"] = grouped_bars(names, series, OVER)
    return figures
