"""What does a phase find in its own model's results alone?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mahals.phase import Lab
from tests.support.toy_phases.follow.rows import Row


@dataclass(frozen=True)
class Params:
    seconds: float
    broken: str  # the unit that ends with an error


@dataclass(frozen=True)
class Task:
    models: tuple[str, ...]


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    return [Task((lab.unit,))]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    if lab.unit == params.broken:
        raise ZeroDivisionError("broken on purpose")
    time.sleep(params.seconds)
    yield Row(lab.unit, sum(row.value for row in lab.rows("grow", lab.unit)))
