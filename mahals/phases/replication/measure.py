"""Measure of replication: what does each phase say of each training?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from mahals.maths.stats.between import estimates
from mahals.phase import Lab
from mahals.phases.replication.rows import READ, Row
from mahals.records import AtLeast, Count, OneOf, Several
from mahals.schema import Configuration, Entry, claim_of

KNOWN = dict.fromkeys(READ)
GAP = "gap_over_random"
SHOWN = ("refusal_gap", GAP, f"{GAP}_low", f"{GAP}_high", f"{GAP}_p")
TESTS = "_p"  # at the end of a metric's name: no estimate


@dataclass(frozen=True)
class Params:
    """Typed, without defaults: the values are in params.yaml."""

    trainings: Several  # seeds, from organisms.training_seed on
    first_models: Count  # the first so many of `models`; 0: all
    phases: Annotated[tuple[Annotated[str, OneOf(KNOWN)], ...], AtLeast(1)]


@dataclass(frozen=True)
class Task:
    """One phase at one training."""

    models: tuple[str, ...]  # none
    phase: str
    training: int


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """Every phase, training by training."""
    phases = dict.fromkeys(params.phases)
    return [Task((), phase, training) for training in lab.trainings for phase in phases]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """A row a number with its interval, then a row a steered line of the board."""
    told = lab.summary(task.phase, task.training)
    for name, e in estimates(told.metrics).items():
        if not name.endswith(TESTS):
            yield Row(task.phase, task.training, name, e.value, e.low, e.high, None)
    for entry in told.entries:
        if entry.configuration.arm != "steered":  # a control claims nothing
            continue
        line = _short(entry)
        value, low, high = (entry.metrics.get(GAP + end) for end in ("", "_low", "_high"))
        name = title(line.configuration)
        yield Row(task.phase, task.training, name, value, low, high, line)


def _short(entry: Entry) -> Entry:
    """A line as all trainings share it."""
    return replace(
        entry,
        configuration=claim_of(entry.configuration),
        metrics={name: entry.metrics[name] for name in SHOWN if name in entry.metrics},
        reasons={name: entry.reasons[name] for name in SHOWN if name in entry.reasons},
    )


def title(c: Configuration) -> str:
    """A line of the board as a metric's name."""
    source = "own" if c.source in (None, c.target) else c.source
    blocks = "blocks_" + "_".join(map(str, c.layers))
    parts = (c.target, source, c.map, c.method, c.operator, c.placement, blocks)
    return "/".join(part for part in parts if part)
