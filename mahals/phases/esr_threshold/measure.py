"""Measure of esr_threshold: at which boost does each direction lead the model off its topic?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from mahals.evaluation.resistance.episodes import episode_bench
from mahals.evaluation.resistance.subjects import ALIGNED, directions
from mahals.evaluation.resistance.thresholds import SearchPlan, find_thresholds
from mahals.phase import Lab
from mahals.phases.esr_threshold.rows import Row
from mahals.records import AtLeast


@dataclass(frozen=True)
class Params:
    """Along which directions, and how it is looked for."""

    sources: Annotated[tuple[str, ...], AtLeast(1)]  # contrast, latent, random
    search: SearchPlan


@dataclass(frozen=True)
class Task:
    """One model; all of its directions advance together."""

    models: tuple[str, ...]


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task."""
    return [Task((lab.unit,))]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """A row for each direction, usable or not."""
    key = task.models[0]
    along = directions(lab, key, params.sources)
    yield from find_thresholds(episode_bench(lab, key, ALIGNED), along, params.search)
