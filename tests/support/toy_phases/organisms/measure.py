"""Which number did a training give each model?"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mahals.phase import Lab
from mahals.records import seed_of
from tests.support.toy_phases.organisms.rows import Row


@dataclass(frozen=True)
class Params:
    training_seed: int


@dataclass(frozen=True)
class Task:
    models: tuple[str, ...]


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    return [Task((lab.unit,))]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    if "TOY_LOG" in os.environ:
        with open(os.environ["TOY_LOG"], "a") as log:
            log.write(f"{lab.unit} {params.training_seed}\n")
    if os.environ.get("TOY_DEATH") == f"{lab.unit} {params.training_seed}":
        os.kill(os.getpid(), signal.SIGKILL)
    yield Row(lab.unit, seed_of("toy", lab.unit, params.training_seed) % 1000 / 1000)
