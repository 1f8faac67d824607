"""Measure of esr_sequential: what does an answer hold, token by token, around its restart?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mahals.evaluation.resistance.episodes import OFF, EpisodeBench, clause_places, episode_bench
from mahals.evaluation.resistance.held_sets import detector_sae, detector_set
from mahals.evaluation.resistance.readings import (
    ReadingChoice,
    TokenReading,
    answer_groups,
    clusters,
    mean_of,
    random_latents,
    read,
    set_means,
    token_means,
)
from mahals.evaluation.resistance.subjects import (
    BoostDirection,
    SubjectTask,
    directions,
    plan_subjects,
)
from mahals.models.judges.attempts import Attempted
from mahals.phase import Lab
from mahals.phases.esr_sequential.rows import Row
from mahals.records import Positive, seed_of

Task, plan = SubjectTask, plan_subjects


@dataclass(frozen=True)
class Params(ReadingChoice):
    """How many episodes are read."""

    episodes: Positive  # the first of two attempts that improve


def measure(task: SubjectTask, params: Params, lab: Lab) -> Iterator[Row]:
    """Means over the first improved episodes, and over their twins, at tokens from the restart."""
    (key,), name = task.models, task.subject
    bench, told = episode_bench(lab, key, name), detector_set(lab, key, name)
    sae, along = detector_sae(lab, key, name), directions(lab, key, params.sources)
    sets = {"detectors": list(told.detectors)}
    live = sorted({*range(len(told.frequency))} - {*told.dead})
    sets["random"] = random_latents(live, sets, seed_of("sequential", key, name, lab.seed))
    for situation in params.situations:
        steering = "off" if situation in OFF else "on"
        row = partial(Row, key, lab.weights, name, situation, steering=steering)
        groups = answer_groups(lab, key, name, situation, params.sources)
        two = [(t, text) for t, text in groups["episode"] if len(t.starts) == 2]
        improved = [a for a in two if (a[0].improvement or 0.0) > 0][: params.episodes]
        if len(improved) < params.least_episodes:
            why = f"{len(improved)} improved episodes of two attempts"
            yield row(count=len(improved), why=f"{why}, {params.least_episodes} needed")
            continue
        if not told.detectors:
            yield row(quantity="detectors", why="esr_detectors found none")
        some = {"episode": improved, "derailed": groups["derailed"]}
        found = read(bench, sae, some, along, params.most)
        of = {g: _known(bench, own, along, sets) for g, own in found.items()}
        yield from token_means(row, of, params.reach)
        episodes = list(of["episode"].values())
        for mark, at in (("begins", [-r.start for r in episodes]),
                         ("ends", [r.stop - r.start for r in episodes])):  # fmt: skip
            own = partial(row, quantity="mark", group="episode", place=mark)
            yield from mean_of(own, at, clusters(episodes))


def _known(
    bench: EpisodeBench,
    readings: Mapping[int, TokenReading],
    along: Sequence[BoostDirection],
    sets: Mapping[str, list[int]],
) -> dict[int, TokenReading]:
    """Readings with all quantities.

    projection: on the direction, in its length, so that a boost of 1 adds 1 to it where it acts.
    relevance: the judge's points of the text up to the last clause that ended; None before one has.
    """
    vectors = {d.name: d.vector / d.vector.square().sum() for d in along}
    ends = {i: clause_places(r.text) for i, r in readings.items()}
    some = [(readings[i], end) for i, places in ends.items() for end in places]
    scores = iter(bench.scorer([Attempted(r.trial.prompt, r.text[:end]) for r, end in some]))
    found = {}
    for i, r in readings.items():
        points = [None, *(next(scores) for _ in ends[i])]
        values = {
            "projection": (r.states @ vectors[r.trial.direction]).tolist(),
            **set_means(r, sets),
            "relevance": [points[sum(end <= p for end in ends[i])] for p in r.places],
        }
        found[i] = replace(r, values=values)
    return found
