"""Usage: which token budgets did the work at hand use, and how often was a batch halved?

Whoever wants to know opens `recording`; what plans and halves batches says so. Outside of it
nothing is noted.
"""

from __future__ import annotations

import os
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


def sharing() -> int:
    """How many processes share the memory: what the pool said to its worker, 1 outside a pool."""
    return int(os.environ.get(PROCESSES, "1"))
