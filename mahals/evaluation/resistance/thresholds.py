"""Thresholds: at which boost do first attempts along each direction score the target?

All directions advance together, a query each in one batch (METHOD 8). What is found on calibration
prompts is measured on prompts of evaluation, with seeds that no trial has.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mahals.evaluation.resistance.episodes import (
    Ask,
    EpisodeBench,
    EpisodeCell,
    judged,
    place_trial,
    write_cells,
)
from mahals.evaluation.resistance.subjects import BoostDirection
from mahals.maths.metrics.resistance import NONE, ResistanceTrial, Threshold, rates
from mahals.maths.stats.bisection import Bisection, Found, Search
from mahals.models.saes.steering import Hold
from mahals.records import Positive, from_plain, to_plain

FRESH = 10_000  # the first seed of answers on fresh prompts
OFF_TARGET, BROKEN = 15.0, 0.3  # a direction farther from the target, or more broken, is no use


@dataclass(frozen=True)
class SearchPlan:
    """How a threshold is looked for; boosts in mean lengths of the model's states."""

    target: float  # of first scores, 0 to 100
    low: float
    high: float
    mean: float  # of the prior
    sd: float
    queries: Positive
    answers: Positive  # of each query, and on fresh prompts per seed of the setting


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
    search = Search(plan.low, plan.high, plan.mean, plan.sd, plan.target / 100, plan.queries)
    searches = [Bisection(search) for _ in along]
    for query in range(plan.queries):
        cells = [
            _cell(d, s.boost, _calibration(bench, d, plan, query), ablation)
            for d, s in zip(along, searches, strict=True)
        ]
        for s, made in zip(searches, _first_trials(bench, cells), strict=True):
            scores = [t.first for t in made if t.first is not None]
            s.tell(float(np.mean(scores)) / 100 if scores else plan.target / 100)
    found = [s.found() for s in searches]
    cells = [
        _cell(d, f.boost, bench.asks("evaluation", d.concept, FRESH), ablation)
        for d, f in zip(along, found, strict=True)
    ]
    fresh = _first_trials(bench, cells)
    return [
        _threshold(bench, d, f, made, plan, ablation.name)
        for d, f, made in zip(along, found, fresh, strict=True)
    ]


def _cell(d: BoostDirection, boost: float, asks: Sequence[Ask], ablation: Ablation) -> EpisodeCell:
    return EpisodeCell(d, boost, "free", tuple(asks), ablated=ablation.name, holds=ablation.holds)


def _calibration(bench: EpisodeBench, d: BoostDirection, plan: SearchPlan, query: int) -> list[Ask]:
    """The answers of one query: calibration prompts in turn, no seed twice in a search."""
    setting = bench.texts.setting
    prompts = [p for p in setting.prompts("calibration") if setting.meets(p, d.concept)]
    first = FRESH * (query + 2)
    return [Ask(prompts[i % len(prompts)], first + i) for i in range(plan.answers)]


def _first_trials(bench: EpisodeBench, cells: Sequence[EpisodeCell]) -> list[list[ResistanceTrial]]:
    """The trials of each cell, judged, and kept nowhere."""
    answers = write_cells(bench, cells)
    made = [
        replace(place_trial(bench, cell, ask, ""), line=0) for cell in cells for ask in cell.asks
    ]
    scored = iter(judged(bench, made, [w.text for texts in answers for w in texts]))
    return [[next(scored) for _ in cell.asks] for cell in cells]


def _threshold(
    bench: EpisodeBench,
    d: BoostDirection,
    found: Found,
    fresh: Sequence[ResistanceTrial],
    plan: SearchPlan,
    ablated: str,
) -> Threshold:
    measured = rates([replace(t, direction=NONE) for t in fresh])  # over prompts
    score, broken = measured.first_score, sum(t.degenerate for t in fresh) / len(fresh)
    why = _why(found, None if score is None else score.estimate, broken, plan.target)
    return Threshold(
        model=bench.loaded.key,
        weights=bench.lab.weights,
        subject=bench.subject,
        direction=d.name,
        source=d.source,
        concept=d.concept,
        ablated=ablated,
        target=plan.target,
        boost=found.boost,
        sd=found.sd,
        queries=len(found.tried),
        hit_bound=found.hit_bound,
        reached=None if score is None else score.estimate,
        reached_low=None if score is None else score.low,
        reached_high=None if score is None else score.high,
        degenerate_share=broken,
        usable=why is None,
        why=why,
    )


def _why(found: Found, reached: float | None, broken: float, target: float) -> str | None:
    """Why a direction cannot be used; None where it can."""
    if found.hit_bound:
        return f"the search ended at a bound, boost {found.boost:.2f}"
    if broken > BROKEN:
        return f"{broken:.0%} of the answers there are broken text"
    if reached is None or abs(reached - target) > OFF_TARGET:
        known = "no score" if reached is None else f"{reached:.0f}"
        return f"first attempts on fresh prompts score {known}, not {target:.0f}"
    return None


def thresholds_text(found: Sequence[Threshold]) -> str:
    """Thresholds as JSON, as `read_thresholds` takes them."""
    return json.dumps(to_plain(list(found)), indent=1) + "\n"


def read_thresholds(file: Path) -> tuple[Threshold, ...]:
    """The thresholds that `thresholds_text` wrote."""
    told = json.loads(file.read_text(encoding="utf-8"))
    return from_plain(tuple[Threshold, ...], told, file.name)
