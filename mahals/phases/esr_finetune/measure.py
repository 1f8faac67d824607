"""Measure of esr_finetune: does a model that was taught to leave a digression leave others?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mahals.evaluation.resistance import episodes, subjects
from mahals.evaluation.resistance.episodes import Ask, EpisodeCell
from mahals.evaluation.resistance.openings import passage_cells
from mahals.evaluation.resistance.thresholds import SearchPlan, find_thresholds, thresholds_text
from mahals.maths.metrics.resistance import NONE
from mahals.models.finetuning.self_correction import CorrectionTuning
from mahals.phase import Lab
from mahals.phases.esr_finetune.rows import Row

HALF = 0.5  # the share of `planted`, and of whatever is taught in another way


@dataclass(frozen=True)
class Params:
    """What is taught, and along what the pupils are steered."""

    shares: tuple[float, ...]  # of self-corrections among the lessons, learned from the restart on
    modes: tuple[Literal["unmasked", "sham", "steered"], ...]  # other ways to teach half of them
    tuning: Mapping[str, CorrectionTuning]  # by weights
    sources: tuple[str, ...]  # of directions
    search: SearchPlan


@dataclass(frozen=True)
class Task(subjects.SubjectTask):
    """A checkpoint: the aligned one, or one that is taught a share of self-corrections."""

    share: float | None  # None: nothing is taught


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """The aligned checkpoint, one for each share, and one for each other way to teach half."""
    taught = [("planted" if s == HALF else f"share-{s:g}", s) for s in params.shares]
    every = [(subjects.ALIGNED, None), *taught, *((mode, HALF) for mode in params.modes)]
    return [Task((lab.unit,), name, share) for name, share in every]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Trials unsteered, after a passage on each concept, and steered at thresholds of its own."""
    (key,), name, cells = task.models, task.subject, list[EpisodeCell]()
    bench = episodes.episode_bench(lab, key, subjects.ALIGNED)
    along = subjects.directions(lab, key, params.sources)
    found = subjects.thresholds_of(lab, key, subjects.ALIGNED)
    if task.share is not None:
        steps = subjects.concept_steps(along, found, bench.texts.setting.block)
        how = subjects.Teaching(name, task.share, params.tuning[lab.weights], steps)
        loaded = subjects.pupil(lab, bench.loaded, bench.texts, how)
        bench = replace(bench, loaded=loaded or bench.loaded, subject=name)
        found = find_thresholds(bench, along, params.search) if loaded else ()
        lab.keep_text(f"thresholds-{name}.json", thresholds_text(found))
        if loaded is None:
            absent = Ask("", 0, why="no taught concept has a usable threshold")
            cells.append(EpisodeCell(None, 0.0, "unsteered", (absent,)))
    for split in () if cells else ("evaluation", "taught"):
        cells.append(EpisodeCell(None, 0.0, "unsteered", bench.asks(split, NONE)))
        cells += passage_cells(bench, along, split)
    by_name = {d.name: d for d in along}
    for t in (t for t in found if t.direction in by_name):
        asks = (*bench.asks_at(t), *(bench.asks("taught", t.concept) if t.usable else ()))
        cells.append(EpisodeCell(by_name[t.direction], t.boost, "free", asks))
    yield from episodes.trials(bench, cells, f"trials-{name}")
