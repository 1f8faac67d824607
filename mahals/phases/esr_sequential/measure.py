"""Measure of esr_sequential: what does an answer hold, token by token, around its restart?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from mahals.evaluation.resistance import readings
from mahals.evaluation.resistance.episodes import OFF, EpisodeBench, clause_places, episode_bench
from mahals.evaluation.resistance.held_sets import detector_sae, detector_set
from mahals.evaluation.resistance.subjects import SubjectTask, directions, plan_subjects
from mahals.models.judges.attempts import Attempted
from mahals.phase import Lab
from mahals.phases.esr_sequential.rows import Row
from mahals.records import Positive, seed_of

Task, plan = SubjectTask, plan_subjects


@dataclass(frozen=True)
class Params(readings.ReadingChoice):
    """How many episodes are read."""

    episodes: Positive  # the first of two attempts that improve


def measure(task: SubjectTask, params: Params, lab: Lab) -> Iterator[Row]:
    """Means over the first improved episodes, and over their twins, at tokens from the restart."""
    (key,), name = task.models, task.subject
    bench, along = episode_bench(lab, key, name), directions(lab, key, params.sources)
    vectors = {d.name: d.vector / d.vector.square().sum() for d in along}  # a boost of 1 adds 1
    told, sae = detector_set(lab, key, name), detector_sae(lab, key, name)
    sets = {"detectors": list(told.detectors)}
    live = sorted({*range(len(told.frequency))} - {*told.dead})
    seed = seed_of("sequential", key, name, lab.seed)
    sets["random"] = readings.random_latents(live, sets, seed)
    for situation in params.situations:
        steering = "off" if situation in OFF else "on"
        row = partial(Row, key, lab.weights, name, situation, steering=steering)
        groups = readings.answer_groups(lab, key, name, situation, params.sources)
        two = [(t, text) for t, text in groups["episode"] if len(t.starts) == 2]
        improved = [(t, a) for t, a in two if (t.improvement or 0.0) > 0][: params.episodes]
        if len(improved) < params.least_episodes:
            why = f"{len(improved)} improved episodes of two attempts"
            yield row(count=len(improved), why=f"{why}, {params.least_episodes} needed")
            continue
        if not told.detectors:
            yield row(quantity="detectors", why="esr_detectors found none")
        some = {"episode": improved, "derailed": groups["derailed"]}
        found = readings.read(bench, sae, some, along, params.most)
        points = {g: _relevance(bench, list(own.values())) for g, own in found.items()}
        quantities = {
            "projection": lambda r: (r.states @ vectors[r.trial.direction]).tolist(),
            **readings.set_means(sets),
            "relevance": (points["episode"] | points["derailed"]).__getitem__,
        }
        yield from readings.token_means(row, found, quantities, params.reach)
        episodes = list(found["episode"].values())
        begins, ends = [-r.start for r in episodes], [r.stop - r.start for r in episodes]
        for mark, at in (("begins", begins), ("ends", ends)):
            own = partial(row, quantity="mark", group="episode", place=mark)
            yield from readings.mean_of(own, at, readings.clusters(episodes))


def _relevance(
    bench: EpisodeBench, some: Sequence[readings.TokenReading]
) -> dict[readings.TokenReading, readings.Values]:
    """The judge's points of the text up to the last clause that ended; None before one has."""
    ends = {r: clause_places(r.text) for r in some}
    asked = [Attempted(r.trial.prompt, r.text[:end]) for r in some for end in ends[r]]
    scores, found = iter(bench.scorer(asked)), dict[readings.TokenReading, readings.Values]()
    for r in some:
        points = [None, *(next(scores) for _ in ends[r])]
        found[r] = [points[sum(end <= p for end in ends[r])] for p in r.places]
    return found
