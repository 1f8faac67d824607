"""Measure of esr_activations: which latents are active where an answer restarts, or never does?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mahals.evaluation.resistance import readings
from mahals.evaluation.resistance.episodes import OFF, episode_bench
from mahals.evaluation.resistance.held_sets import detector_sae, detector_set
from mahals.evaluation.resistance.subjects import SubjectTask, directions, plan_subjects
from mahals.maths.metrics.latents import latent_auc, prompt_permutation_p
from mahals.maths.metrics.permutation import Permutations
from mahals.maths.stats.controls import benjamini_hochberg
from mahals.maths.stats.intervals import Floats
from mahals.phase import Lab
from mahals.phases.esr_activations.rows import Row
from mahals.records import Positive, digest, seed_of

Task, plan = SubjectTask, plan_subjects
Pair = tuple[Floats, Floats, str]  # (t, m) where latents should be silent, (u, m) active; cluster


@dataclass(frozen=True)
class Params(readings.ReadingChoice):
    """By which test latents are chosen."""

    permutations: Positive
    level: float  # of false discoveries
    chosen: Positive  # latents by each test at most, those of the highest AUC


def measure(task: SubjectTask, params: Params, lab: Lab) -> Iterator[Row]:
    """Sets of latents, and the mean of each by region and group and at tokens from the restart."""
    (key,), name = task.models, task.subject
    bench, along = episode_bench(lab, key, name), directions(lab, key, params.sources)
    told, sae = detector_set(lab, key, name), detector_sae(lab, key, name)
    for situation in params.situations:
        row = partial(Row, key, lab.weights, name, situation)
        groups = readings.answer_groups(lab, key, name, situation, params.sources)
        prompts = sorted({t.prompt for t, _ in groups["episode"]}, key=digest)
        halves = [
            {g: [(t, a) for t, a in own if t.prompt in prompts[k::2]] for g, own in groups.items()}
            for k in (0, 1)
        ]
        counts = [len(half["episode"]) for half in halves]
        if min(counts) < params.least_episodes:
            why = f"{counts[0]} and {counts[1]} episodes in two halves of their prompts"
            yield row(count=sum(counts), why=f"{why}, {params.least_episodes} needed in each")
            continue
        sets = {"detectors": list(told.detectors)}
        for steering in ("off",) if situation in OFF else ("on", "off"):
            steps = along if steering == "on" else None
            found, rest = (readings.read(bench, sae, half, steps, params.most) for half in halves)
            own = partial(row, steering=steering)
            if len(sets) == 1:
                yield from _choose(own, (found, rest), params, sets, lab.seed)
            yield from readings.token_means(own, rest, readings.set_means(sets), params.reach)


def _choose(
    row: partial[Row],
    halves: tuple[readings.Readings, readings.Readings],
    params: Params,
    sets: dict[str, list[int]],
    seed: int,
) -> Iterator[Row]:
    """Adds latents by two tests on the first half, and as many random live ones, to the sets."""
    seed, least = seed_of("read latents", *row.args, seed), dict[str, float]()
    tokens = [r.latents for some in halves[0].values() for r in some.values()]
    live = np.flatnonzero(np.any([rows.any(axis=0) for rows in tokens], axis=0))
    for test in ("restart", "noticing"):
        pairs, later = (_pairs(test, half) for half in halves)
        names, sets[test] = [name for *_, name in pairs], []
        if len(set(names)) > 1 and later:
            auc, kept = (_auc(some)[live] for some in (pairs, later))
            own = np.stack([silent.mean(axis=0)[live] for silent, _, _ in pairs])
            other = np.stack([active.mean(axis=0)[live] for _, active, _ in pairs])
            chance = Permutations(params.permutations, seed)
            q = benjamini_hochberg(prompt_permutation_p(own, other, names, chance).tolist())
            least[test] = min(q)
            passed = [i for i in np.argsort(-auc, kind="stable") if q[i] <= params.level]
            for i in passed[: params.chosen]:
                sets[test].append(int(live[i]))
                known = {"found": float(auc[i]), "kept": float(kept[i]), "q": q[i]}
                yield row(quantity=test, latent=int(live[i]), **known)
    sets["random"] = readings.random_latents(live.tolist(), sets, seed)
    for name, some in sets.items():
        yield row(quantity=name, count=len(some), live=len(live), q=least.get(name))


def _pairs(test: str, some: readings.Readings) -> list[Pair]:
    """restart: an episode elsewhere, and at its restart.

    noticing: a twin of the same direction, and the episode before the end of its last sentence.
    """
    found, names = list[Pair](), readings.clusters(list(some["episode"].values()))
    for (i, e), name in zip(some["episode"].items(), names, strict=True):
        at, twin = slice(e.start, e.stop), some["derailed"].get(i)
        if test == "restart":
            found.append((np.delete(e.latents, at, axis=0), e.latents[at], name))
        elif twin is not None and twin.trial.direction == e.trial.direction:
            found.append((twin.latents[: e.ends[0]], e.latents[: e.ends[0]], name))
    return [p for p in found if len(p[0]) and len(p[1])]


def _auc(pairs: Sequence[Pair]) -> Floats:
    return latent_auc(*(np.concatenate([p[k] for p in pairs]) for k in (0, 1)))
