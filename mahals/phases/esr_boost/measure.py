"""Measure of esr_boost: at which strength of steering does a model come back most?"""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Annotated, Literal

from mahals.evaluation.resistance import subjects
from mahals.evaluation.resistance.episodes import Ask, EpisodeCell, episode_bench, trials
from mahals.phase import Lab
from mahals.phases.esr_boost.rows import Row
from mahals.records import AtLeast

Task, plan = subjects.SubjectTask, subjects.plan_subjects


@dataclass(frozen=True)
class Params(subjects.SubjectChoice):
    """Who is steered along what, at which levels around the thresholds."""

    levels: Annotated[tuple[float, ...], AtLeast(2)]  # in sd of the thresholds over directions
    around: Literal["own", "mean"]  # each direction's own threshold | their mean (published)


def measure(task: subjects.SubjectTask, params: Params, lab: Lab) -> Iterator[Row]:
    """Trials of situation `free` along each direction at each level, cut at boost 0."""
    (key,), name, cells = task.models, task.subject, list[EpisodeCell]()
    bench = episode_bench(lab, key, name)
    along = subjects.derailments(lab, key, name, params.sources)
    known = [d.threshold.boost for d in along if d.threshold.usable]
    spread = stdev(known) if len(known) > 1 else 0.0
    for d in along:
        asks = bench.asks_at(d.threshold)
        if d.threshold.usable and len(known) < 2:
            asks = (Ask("", 0, why="a single usable threshold: there is no spread of several"),)
        centre = mean(known) if params.around == "mean" and known else d.threshold.boost
        for level in params.levels:
            boost = max(0.0, centre + level * spread)
            cells.append(EpisodeCell(d.direction, boost, "free", asks, level=level))
    yield from trials(bench, cells, f"trials-{name}")
