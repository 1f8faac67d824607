"""What do the jobs of the engine's tests do? They must be importable by worker processes."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from mahals.harness.engines.process import Report
from mahals.records import InputError


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
