"""Measure of esr_random: do detectors matter to coming back more than random latents do?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mahals.evaluation.resistance.episodes import episode_bench, trials
from mahals.evaluation.resistance.held_sets import SetDraws, held_cells
from mahals.evaluation.resistance.subjects import (
    SubjectChoice,
    SubjectTask,
    derailments,
    plan_subjects,
)
from mahals.phase import Lab
from mahals.phases.esr_random.rows import Row

Task, plan = SubjectTask, plan_subjects


@dataclass(frozen=True)
class Params(SubjectChoice):
    """Who is steered along what, beside how many random sets."""

    sets: SetDraws


def measure(task: SubjectTask, params: Params, lab: Lab) -> Iterator[Row]:
    """Trials with nothing held, with the detectors, and with each random set."""
    (key,), name = task.models, task.subject
    bench = episode_bench(lab, key, name)
    along = derailments(lab, key, name, params.sources)
    yield from trials(bench, held_cells(bench, along, params.sets), f"trials-{name}")
