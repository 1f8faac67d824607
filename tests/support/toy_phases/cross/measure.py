"""Do all models' numbers reach every unit?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mahals.phase import Lab
from tests.support.toy_phases.cross.rows import Row


@dataclass(frozen=True)
class Params:
    power: int


@dataclass(frozen=True)
class Task:
    models: tuple[str, ...]


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    return [Task((source, lab.unit)) for source in lab.models]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    source, target = task.models
    total = sum(row.value for row in lab.rows("grow", source))
    yield Row(source, target, total**params.power)
