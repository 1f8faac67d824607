"""What do the jobs of the engine's tests do? They must be importable by worker processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from typing import Any

from mahals.harness.engines.pool import Job
from mahals.harness.engines.process import Report
from mahals.kernels import in_use
from mahals.records import InputError, to_plain


def square(argument: int, report: Report) -> tuple[int, int, str]:
    return argument**2, os.getpid(), os.environ["OMP_NUM_THREADS"]


inherited = False


def was_inherited(argument: Any, report: Report) -> tuple[bool, str, str]:
    return inherited, os.environ["OMP_NUM_THREADS"], os.environ["MALLOC_TRIM_THRESHOLD_"]


def slow(argument: float, report: Report) -> int:
    for step in range(5):
        time.sleep(argument / 5)
        report("steps", step + 1, 5)
    return os.getpid()


def refuse(argument: Any, report: Report) -> None:
    raise InputError("pear", expected="an apple", got="a pear", cure="take an apple")


def stumble(argument: Any, report: Report) -> None:
    raise ZeroDivisionError("in the job")


def die(argument: Any, report: Report) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Watch:
    """A handler that keeps what it is told."""

    def __init__(self, follow: dict[str, Job] | None = None) -> None:
        self.values: dict[str, Any] = {}
        self.steps: list[tuple[str, str, int, int]] = []
        self.errors: list[tuple[str, BaseException]] = []
        self.follow = follow or {}

    def progress(self, job: Job, what: str, done: int, total: int) -> None:
        self.steps.append((job.label, what, done, total))

    def done(self, job: Job, value: Any) -> Iterable[Job]:
        self.values[job.label] = value
        return [self.follow.pop(job.label)] if job.label in self.follow else []

    def tick(self) -> None: ...

    def failed(self, job: Job, error: BaseException) -> None:
        self.errors.append((job.label, error))


def job(label: str, function: Any, argument: Any, *models: str) -> Job:
    return Job(label, label, models, function, argument)


def squares(n: int) -> list[Job]:
    return [job(f"s{i}", square, i, f"model{i % 2}") for i in range(n)]


def kernels_in_use(argument: Any, report: Any) -> Any:
    """What this process computes with, after the imports of a measurement."""
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401
    import torch  # noqa: F401

    return to_plain(in_use())
