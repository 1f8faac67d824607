"""What does a phase find in its own model's results alone?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mahals.phase import Cost, Kept, Lab, Phase, Summary


@dataclass(frozen=True)
class Params:
    seconds: float
    broken: str  # the unit that ends with an error


@dataclass(frozen=True)
class Task:
    models: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    model: str
    value: float


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    return [Task((lab.unit,))]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    if lab.unit == params.broken:
        raise ZeroDivisionError("broken on purpose")
    time.sleep(params.seconds)
    yield Row(lab.unit, sum(row.value for row in lab.rows("grow", lab.unit)))


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    return Summary({"sum": sum(row.value for row in rows)}, (), (), ())


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Any]:
    return {}


PHASE = Phase(
    Params, Task, Row, plan, measure, summarize, draw,
    needs=("grow",), per="model", cost=Cost(0.1, 0.01),
)  # fmt: skip
