"""Figures of esr_threshold: at which boost do directions derail a model, and how far is it then?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.esr_threshold.rows import Row
from mahals.reporting.plots.bars import bars_with_intervals
from mahals.reporting.plots.sheet import Estimates, Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

USABLE = "Mean over usable directions (so many of all), from the lowest to the highest."
ALL = "Mean over all directions, from the lowest to the highest; usable: within 15 of the target."


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """thresholds and reached_scores, by model and source."""
    sources: dict[str, list[Row]] = {}
    for r in rows:
        sources.setdefault(f"{r.model}, {r.source}", []).append(r)
    usable = [[r for r in some if r.usable] for some in sources.values()]
    pairs = zip(sources.items(), usable, strict=True)
    names = [f"{name} ({len(good)} of {len(some)})" for (name, some), good in pairs]
    boosts = Estimates.over([[r.boost for r in good] for good in usable])
    scores = Estimates.over(
        [[r.reached for r in some if r.reached is not None] for some in sources.values()]
    )
    found = Labels(
        "At which boost do directions lead a model off its topic?",
        "boost, in mean lengths of the model's states",
        USABLE,
    )
    reached = Labels(
        "How good are first attempts at the boost that was found, on fresh prompts?",
        "mean judge's score, 0 to 100",
        ALL,
    )
    target = {"target": [some[0].target for some in sources.values()]}
    return {
        "thresholds": bars_with_intervals(names, boosts, found),
        "reached_scores": bars_with_intervals(names, scores, reached, target),
    }
