"""Measure of organisms: did each small model learn the world, and to refuse?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mahals.data.texts import WorldChoice
from mahals.models.organisms.schedule import TrainingSchedule
from mahals.models.organisms.shapes import OrganismShape
from mahals.models.organisms.training import Order, train_organism
from mahals.phase import Lab
from mahals.phases.organisms.rows import Row
from mahals.records import from_plain


@dataclass(frozen=True)
class Params:
    """Which world, which seed, and how long each stage is trained."""

    world: WorldChoice
    training_seed: int
    schedule: TrainingSchedule


@dataclass(frozen=True)
class Task:
    """One organism, all its checkpoints: each starts from the one before."""

    models: tuple[str, ...]


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task: an organism."""
    return [Task((lab.unit,))]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Trains the organism (a killed training is taken up at its last finished stage)."""
    key = task.models[0]
    shape = from_plain(OrganismShape, lab.entry(key).organism, f"models.{key}.organism")
    order = Order(key, shape, params.world.seed, params.training_seed, params.schedule)
    scratch = lab.scratch(task)
    reports = train_organism(order, scratch, lab.report)
    for report in reports:
        kept = lab.keep_folder(report.checkpoint)
        with kept as folder:
            shutil.copytree(scratch / report.checkpoint, folder, dirs_exist_ok=True)
        yield Row(**vars(report), model=key, folder=kept.reference)
