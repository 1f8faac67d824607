"""Measure of esr_threshold: at which boost does each direction lead the model off its topic?"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from mahals.evaluation.resistance.episodes import episode_bench
from mahals.evaluation.resistance.subjects import ALIGNED, ModelTask, directions, plan_model
from mahals.evaluation.resistance.thresholds import SearchPlan, find_thresholds
from mahals.phase import Lab
from mahals.phases.esr_threshold.rows import Row
from mahals.records import AtLeast

Task, plan = ModelTask, plan_model


@dataclass(frozen=True)
class Params:
    """Along which directions, and how it is looked for."""

    sources: Annotated[tuple[str, ...], AtLeast(1)]  # contrast, latent, random
    search: SearchPlan


def measure(task: ModelTask, params: Params, lab: Lab) -> Iterator[Row]:
    """A row for each direction, usable or not; all advance together."""
    (key,) = task.models
    along = directions(lab, key, params.sources)
    yield from find_thresholds(episode_bench(lab, key, ALIGNED), along, params.search)
