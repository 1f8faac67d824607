"""Measure of esr_ablation: does a model come back where detectors are held silent?"""

from collections.abc import Iterator
from dataclasses import dataclass

from mahals.evaluation.resistance import thresholds
from mahals.evaluation.resistance.episodes import EpisodeCell, episode_bench, trials
from mahals.evaluation.resistance.held_sets import HeldChoice, detector_hold, held_cells
from mahals.evaluation.resistance.subjects import SubjectTask, derailments, plan_subjects
from mahals.phase import Lab
from mahals.phases.esr_ablation.rows import Row

Task, plan = SubjectTask, plan_subjects


@dataclass(frozen=True)
class Params(HeldChoice):
    """What is held, and how boosts are looked for under that."""

    search: thresholds.SearchPlan


def measure(task: SubjectTask, params: Params, lab: Lab) -> Iterator[Row]:
    """Trials with nothing held, the detectors and random sets; `recalibrated`: the detectors, at
    the boost that derails as far under the ablation.
    """
    (key,), name = task.models, task.subject
    bench, hold = episode_bench(lab, key, name), detector_hold(lab, key, name)
    cells = held_cells(bench, params)
    if hold.latents:
        along = derailments(lab, key, name, params.sources)
        usable = [d.direction for d in along if d.threshold.usable]
        ablation = thresholds.Ablation("recalibrated", (hold,))
        found = thresholds.find_thresholds(bench, usable, params.search, ablation)
        lab.keep_text(f"thresholds-{name}.json", thresholds.thresholds_text(found))
        for d, t in zip(usable, found, strict=True):
            asks = bench.asks_at(t)
            cells.append(EpisodeCell(d, t.boost, "free", asks, ablated=t.ablated, holds=(hold,)))
    yield from trials(bench, cells, f"trials-{name}")
