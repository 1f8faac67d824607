"""Usage: which token budgets did work use, how often was a batch halved, and what may it ask?

Whoever wants to know opens `recording`; what plans and halves batches says so. Outside of it
nothing is noted.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

PROCESSES = "MAHALS_PROCESSES"
"""Environment variable of a worker: how many processes may hold models on this machine."""


@dataclass
class Usage:
    """Padded tokens that batches were planned for, and how many batches were halved."""

    budgets: set[int] = field(default_factory=set)
    halved: int = 0


_now: ContextVar[Usage | None] = ContextVar("usage", default=None)


@contextmanager
def recording() -> Iterator[Usage]:
    """`with recording() as usage`: what the block uses."""
    usage = Usage()
    token = _now.set(usage)
    try:
        yield usage
    finally:
        _now.reset(token)


def note_budget(tokens: int) -> None:
    """Batches of at most `tokens` padded tokens were planned."""
    if (usage := _now.get()) is not None:
        usage.budgets.add(tokens)


def note(used: Usage) -> None:
    """Adds what an inner recording saw to the outer one."""
    for tokens in used.budgets:
        note_budget(tokens)
    for _ in range(used.halved):
        note_halved()


def note_halved() -> None:
    """A batch did not fit into memory and was halved."""
    if (usage := _now.get()) is not None:
        usage.halved += 1


def peak_bytes() -> int:
    """Bytes of the host's memory that this process has held at most so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def sharing() -> int:
    """How many processes share the memory: what the pool said to its worker, 1 outside a pool."""
    return int(os.environ.get(PROCESSES, "1"))


@dataclass(frozen=True)
class TextSizes:
    """How many texts a split has and how long they are, in tokens with their template."""

    prompts: int
    prompt_tokens: float
    neutral: int
    neutral_tokens: float
    questions: int  # one for each choice
    choices: int  # of a question
    question_tokens: float
    pairs: int
    pair_tokens: float


@dataclass(frozen=True)
class Workload:
    """What work asks of real checkpoints, at most."""

    read: float  # tokens through a whole model; a part of its blocks counts as that part
    written: float  # tokens
    checkpoints: int  # in memory at once

    def __add__(self, other: Workload) -> Workload:
        both = max(self.checkpoints, other.checkpoints)
        return Workload(self.read + other.read, self.written + other.written, both)


NO_WORK = Workload(0, 0, 0)
