"""Which words are there?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mahals.phase import Cost, Kept, Lab, Phase, Summary


@dataclass(frozen=True)
class Params:
    count: int


@dataclass(frozen=True)
class Task:
    models: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    words: str
    count: int


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    return [Task(())]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    text = "\n".join(f"word{i}" for i in range(params.count))
    yield Row(lab.keep_text("words.txt", text), params.count)


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    return Summary({"count": float(rows[0].count)}, (), (), ())


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Any]:
    return {}


PHASE = Phase(
    Params, Task, Row, plan, measure, summarize, draw,
    needs=(), per="study", cost=Cost(0.1, 0.01), home="data", reads="none",
)  # fmt: skip
