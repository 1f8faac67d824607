"""Figures of esr_threshold: at which boost do directions derail a model, and how far is it then?"""

from collections.abc import Sequence

from mahals.phase import Kept
from mahals.phases.esr_threshold.rows import Row
from mahals.reporting.plots.bars import bars_with_intervals
from mahals.reporting.plots.sheet import Estimates, Labels
from mahals.reporting.resistance import Figures

BOOSTS = Labels(
    "At which boost do directions lead a model off its topic?",
    "boost, in mean lengths of the model's states",
    "Mean over usable directions (so many of all), from the lowest to the highest.",
)
SCORES = Labels(
    "How good are first attempts at the boost that was found, on fresh prompts?",
    "mean judge's score, 0 to 100",
    "Mean over all directions, from the lowest to the highest; usable: within 15 of the target.",
)


def draw(rows: Sequence[Row], kept: Kept) -> Figures:
    """thresholds and reached_scores, by model and source."""
    sources: dict[str, list[Row]] = {}
    for r in rows:
        sources.setdefault(f"{r.model}, {r.source}", []).append(r)
    names, boosts, scores = [], [], []
    for name, some in sources.items():
        boosts.append([r.boost for r in some if r.usable])
        scores.append([r.reached for r in some if r.reached is not None])
        names.append(f"{name} ({len(boosts[-1])} of {len(some)})")
    target = {"target": [some[0].target for some in sources.values()]}
    reached = Estimates.over(scores)
    return {
        "thresholds": bars_with_intervals(names, Estimates.over(boosts), BOOSTS),
        "reached_scores": bars_with_intervals(names, reached, SCORES, target),
    }
