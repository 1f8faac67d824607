"""Thresholds: at which boost do first attempts along each direction score the target?

All directions advance together (METHOD 8). What is found on calibration prompts is measured on
prompts of evaluation, with seeds that no trial has.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mahals.evaluation.resistance import episodes
from mahals.evaluation.resistance.episodes import Ask, EpisodeBench, EpisodeCell
from mahals.evaluation.resistance.subjects import BoostDirection
from mahals.maths.metrics.resistance import NONE, ResistanceTrial, Threshold, rates
from mahals.maths.stats.bisection import Bisection, BoostEstimate, BoostSearch
from mahals.models.saes.steering import Hold
from mahals.records import Positive, to_plain

FRESH = 10_000  # the first seed of answers on fresh prompts
OFF_TARGET, BROKEN = 15.0, 0.3  # a direction farther from the target, or more broken, is no use


@dataclass(frozen=True)
class SearchPlan:
    """How a threshold is looked for; boosts in mean lengths of the model's states."""

    target: float  # of first scores, in (0, 100)
    low: float
    high: float
    mean: float  # of the prior
    sd: float
    queries: Positive
    answers: Positive  # of each query; fresh prompts have as many as a cell

    @property
    def search(self) -> BoostSearch:
        """The same, in shares of 100. Raises InputError for what no search can be made of."""
        return BoostSearch(self.low, self.high, self.mean, self.sd, self.target / 100, self.queries)


@dataclass(frozen=True, eq=False)
class Ablation:
    """Latents that are held at 0 while a threshold is looked for."""

    name: str
    holds: tuple[Hold, ...]


INTACT = Ablation(NONE, ())


def find_thresholds(
    bench: EpisodeBench,
    along: Sequence[BoostDirection],
    plan: SearchPlan,
    ablation: Ablation = INTACT,
) -> list[Threshold]:
    """The threshold of each direction for the bench's subject, in order."""
    searches = [(d, Bisection(plan.search)) for d in along]
    for query in range(plan.queries):
        asks = [_calibration(bench, d, plan, query) for d in along]
        made = _first_trials(bench, searches, asks, ablation)
        for (_, search), own in zip(searches, made, strict=True):
            scores = [t.first for t in own if t.first is not None]
            if scores:  # a query without any teaches nothing
                search.tell(float(np.mean(scores)) / 100)
    asks = [bench.asks("evaluation", d.concept, FRESH) for d in along]
    fresh = _first_trials(bench, searches, asks, ablation)
    return [
        _threshold(bench, d, search.found(), own, plan.target)
        for (d, search), own in zip(searches, fresh, strict=True)
    ]


def _calibration(
    bench: EpisodeBench, d: BoostDirection, plan: SearchPlan, query: int
) -> tuple[Ask, ...]:
    """The answers of one query: calibration prompts in turn, no seed twice in a search."""
    setting = bench.texts.setting
    prompts = [p for p in setting.prompts("calibration") if setting.meets(p, d.concept)]
    first = FRESH * (query + 2)
    return tuple(Ask(prompts[i % len(prompts)], first + i) for i in range(plan.answers))


def _first_trials(
    bench: EpisodeBench,
    searches: Sequence[tuple[BoostDirection, Bisection]],
    asks: Sequence[tuple[Ask, ...]],
    ablation: Ablation,
) -> list[list[ResistanceTrial]]:
    """The trials of each direction where its search stands, judged, and kept nowhere."""
    name, holds = ablation.name, ablation.holds
    cells = [
        EpisodeCell(d, search.boost, "free", own, ablated=name, holds=holds)
        for (d, search), own in zip(searches, asks, strict=True)
    ]
    answers = [w.text for texts in episodes.write_cells(bench, cells) for w in texts]
    made = [episodes.place_trial(bench, cell, ask, "") for cell in cells for ask in cell.asks]
    scored = iter(episodes.judged(bench, [replace(t, line=0) for t in made], answers, parts=False))
    return [[next(scored) for _ in own] for own in asks]


def _threshold(
    bench: EpisodeBench,
    d: BoostDirection,
    found: BoostEstimate,
    fresh: Sequence[ResistanceTrial],
    target: float,
) -> Threshold:
    score = rates([replace(t, direction=NONE) for t in fresh]).first_score  # over prompts
    ends = (None, None, None) if score is None else (score.estimate, score.low, score.high)
    (reached, low, high), broken = ends, sum(t.degenerate for t in fresh) / len(fresh)
    why = None
    if found.hit_bound:
        why = f"the search ended at a bound, boost {found.boost:.2f}"
    elif broken > BROKEN:
        why = f"{broken:.0%} of the answers there are broken text"
    elif reached is None or abs(reached - target) > OFF_TARGET:
        known = "no score" if reached is None else f"{reached:.0f}"
        why = f"first attempts on fresh prompts score {known}, not {target:.0f}"
    return Threshold(
        **bench.columns(d),
        ablated=fresh[0].ablated,
        target=target,
        boost=found.boost,
        sd=found.sd,
        queries=len(found.tried),
        hit_bound=found.hit_bound,
        reached=reached,
        reached_low=low,
        reached_high=high,
        degenerate_share=broken,
        usable=why is None,
        why=why,
    )


def thresholds_text(found: Sequence[Threshold]) -> str:
    """Thresholds as JSON, as `thresholds_of` reads them."""
    return json.dumps(to_plain(list(found)), indent=1) + "\n"
