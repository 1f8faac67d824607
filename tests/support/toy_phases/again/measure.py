"""Which number did each training give each model?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mahals.phase import Lab
from mahals.records import Count, Several
from tests.support.toy_phases.again.rows import Row


@dataclass(frozen=True)
class Params:
    trainings: Several
    first_models: Count
    phases: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    models: tuple[str, ...]
    training: int


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    return [Task((), seed) for seed in lab.trainings]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    for name, value in lab.summary("organisms", task.training).metrics.items():
        yield Row(task.training, name, value)
