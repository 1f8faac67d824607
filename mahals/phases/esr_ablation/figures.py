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
CAPTION = "95 % intervals, t over random sets, with what directions add."


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
        over = _over_random(Evidence(own, kept))
        if over is not None:
            figures[f"over_random-{subject}"] = over
    return figures


def _over_random(table: Evidence[Row]) -> Figure | None:
    """What holding the detectors changes beyond each kind of random sets; None without any."""
    pairs = [(own, kind) for own in held_arms(table) for kind in KINDS if own.sets(kind)]
    found = {SHORT[n]: [beyond_random(own, kind, n) for own, kind in pairs] for n in SHARES}
    names = [", ".join((*own.key, f"over sets of {KINDS[kind]}")) for own, kind in pairs]
    if not names:
        return None
    why = "too few sets or trials, or nothing varies"
    series = {
        n: Estimates.of([g.interval if g else None for g in own], why) for n, own in found.items()
    }
    labels = Labels("What do the detectors do beyond random sets?", "change of a share", CAPTION)
    return grouped_bars(names, series, labels)
