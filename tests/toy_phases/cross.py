"""Do all models' numbers reach every unit?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mahals.phase import Cost, Kept, Lab, Phase, Summary


@dataclass(frozen=True)
class Params:
    power: int


@dataclass(frozen=True)
class Task:
    models: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    source: str
    target: str
    value: float


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    return [Task((source, lab.unit)) for source in lab.models]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    source, target = task.models
    total = sum(row.value for row in lab.rows("grow", source))
    yield Row(source, target, total**params.power)


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    return Summary({"sum": sum(row.value for row in rows)}, (), (), ())


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Any]:
    return {}


PHASE = Phase(
    Params, Task, Row, plan, measure, summarize, draw,
    needs=("grow",), per="model", cost=Cost(0.1, 0.01), reads="all",
)  # fmt: skip
