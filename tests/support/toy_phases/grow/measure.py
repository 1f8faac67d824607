"""How does a number grow in a model's name, slowly, with files kept and scratch used?"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mahals.phase import STUDY, Lab
from mahals.records import InputError, seed_of
from tests.support.toy_phases.grow.rows import Row


@dataclass(frozen=True)
class Params:
    tasks: int
    seconds: float  # per task
    scale: float


@dataclass(frozen=True)
class Task:
    models: tuple[str, ...]
    position: int


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    return [Task((lab.unit,), i) for i in range(params.tasks)]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    if "TOY_LOG" in os.environ:
        with open(os.environ["TOY_LOG"], "a") as log:
            log.write(f"{lab.unit} {task.position}\n")
    if task.position == 2:
        _trouble(os.environ.get("TOY_TROUBLE", "none"))  # input, bug, death or twice
    words = lab.kept("words").path(f"{STUDY}/words.txt").read_text().split()
    steps = lab.scratch(task) / "steps.json"
    at = json.loads(steps.read_text())["at"] if steps.is_file() else 0
    draws = random.Random(seed_of("grow", task, lab.seed))
    values = [draws.random() * params.scale for _ in range(5)]
    for step in range(at, 5):
        time.sleep(params.seconds / 5)
        draft = steps.with_suffix(".tmp")
        draft.write_text(json.dumps({"at": step + 1}))
        os.replace(draft, steps)
        lab.report("steps", step + 1, 5)
    if os.environ.get("TOY_TROUBLE") == "twice":
        lab.keep_text("same.txt", str(task.position))
    with lab.keep_folder(f"values{task.position}") as folder:
        for part, value in enumerate(values):
            (folder / f"{part}.txt").write_text(f"{value!r} {words[part % len(words)]}\n")
    for part, value in enumerate(values):
        kept = f"{lab.unit}/values{task.position}"
        yield Row(lab.unit, task.position, part, value, kept)


class Picture:
    """As much of a figure as the runner asks for."""

    def __init__(self, text: str) -> None:
        self.lines = [text]
        self.texts = self.legends = self.axes = ()

    def get_size_inches(self) -> tuple[float, float]:
        return 3.0, 2.0

    def set_size_inches(self, *size: float) -> None: ...

    def get_layout_engine(self) -> None: ...

    def set_layout_engine(self, engine: str) -> None: ...

    def text(self, x: float, y: float, text: str, **options: Any) -> None:
        self.lines.append(text)

    def savefig(self, file: Any, **options: Any) -> None:
        file.write("\n".join([options["format"], *self.lines]).encode())


def _trouble(kind: str) -> None:
    if kind == "input":
        raise InputError("task 2", expected="a good task", got="a bad one", cure="leave it out")
    if kind == "bug":
        raise ZeroDivisionError("a bug in task 2")
    if kind == "death":
        os.kill(os.getpid(), signal.SIGKILL)
