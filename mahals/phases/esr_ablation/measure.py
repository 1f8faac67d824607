"""Measure of esr_ablation: does a model come back where detectors are held silent?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mahals.evaluation.resistance.episodes import EpisodeCell, episode_bench, trials
from mahals.evaluation.resistance.held_sets import SetDraws, detector_hold, held_cells
from mahals.evaluation.resistance.subjects import (
    SubjectChoice,
    SubjectTask,
    derailments,
    plan_subjects,
)
from mahals.evaluation.resistance.thresholds import (
    Ablation,
    SearchPlan,
    find_thresholds,
    thresholds_text,
)
from mahals.phase import Lab
from mahals.phases.esr_ablation.rows import Row

RECALIBRATED = "recalibrated"
Task, plan = SubjectTask, plan_subjects


@dataclass(frozen=True)
class Params(SubjectChoice):
    """Who is steered along what, what is held, and how boosts are looked for under that."""

    sets: SetDraws
    search: SearchPlan


def measure(task: SubjectTask, params: Params, lab: Lab) -> Iterator[Row]:
    """Trials with nothing held, the detectors and random sets; `recalibrated`: the detectors, at
    the boost that derails as far under the ablation.
    """
    (key,), name = task.models, task.subject
    bench = episode_bench(lab, key, name)
    along = derailments(lab, key, name, params.sources)
    cells = held_cells(bench, along, params.sets)
    hold = detector_hold(lab, key, name)
    if hold.latents:
        usable = [d.direction for d in along if d.threshold.usable]
        found = find_thresholds(bench, usable, params.search, Ablation(RECALIBRATED, (hold,)))
        lab.keep_text(f"thresholds-{name}.json", thresholds_text(found))
        for d, t in zip(usable, found, strict=True):
            asks = bench.asks_at(t)
            cells.append(EpisodeCell(d, t.boost, "free", asks, ablated=t.ablated, holds=(hold,)))
    yield from trials(bench, cells, f"trials-{name}")
