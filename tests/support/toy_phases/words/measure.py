"""Which words are there?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mahals.phase import Lab
from tests.support.toy_phases.words.rows import Row


@dataclass(frozen=True)
class Params:
    count: int


@dataclass(frozen=True)
class Task:
    models: tuple[str, ...]


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    return [Task(())]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    text = "\n".join(f"word{i}" for i in range(params.count))
    yield Row(lab.keep_text("words.txt", text), params.count)
