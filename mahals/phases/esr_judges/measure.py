"""Measure of esr_judges: what does every judge find in the same answers, none of them new?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, pairwise

import numpy as np

from mahals.evaluation.resistance.episodes import agreement_of, scorer_of, stored_answers
from mahals.evaluation.resistance.setting import OwnTexts, own_texts
from mahals.maths.metrics.attempt_agreement import agreement_of_two, weighed_rates
from mahals.maths.metrics.resistance import ResistanceTrial
from mahals.models.judges.attempts import Attempted, AttemptJudgeName, AttemptScorer
from mahals.models.judges.planted import (
    PlantedAgreement,
    by_halves,
    labelled_agreement,
    labelled_attempts,
)
from mahals.phase import Lab
from mahals.phases.esr_judges.rows import TRIALS, Row
from mahals.records import InputError, Positive, seed_of


@dataclass(frozen=True)
class Params:
    """Who judges what."""

    judges: Mapping[str, tuple[AttemptJudgeName, ...]]  # by weights
    answers: Positive  # stored ones that restart, and as many others
    least_trials: Positive  # of a cell over which judges are compared
    labelled: str  # JSON lines of prompt and attempts; empty: none


@dataclass(frozen=True)
class Task:
    """One model."""

    models: tuple[str, ...]


@dataclass(frozen=True)
class StoredTrial:
    """A trial of the sample."""

    trial: ResistanceTrial
    attempts: tuple[str, ...]
    weight: float  # stored answers that it stands for
    exchanged: str  # a prompt that neither the answer nor its concept is about


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task. Raises InputError for a labelled file with a broken line."""
    if params.labelled:
        labelled_attempts(lab.file(params.labelled))
    return [Task((lab.unit,))]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """What each judge finds, then what each two agree on; what one cannot know is an absent row."""
    (key,) = task.models
    row, texts = partial(Row, key, lab.weights), own_texts(lab, key)
    sample = _sample(lab, texts, params.answers)
    weights, found = [s.weight for s in sample], dict[str, list[ResistanceTrial]]()
    for name, restarts in (("restarting", True), ("others", False)):
        some = [s.weight for s in sample if s.trial.restarted == restarts]
        yield row("trials", "", name, len(some), population=round(sum(some)))
    for judge in params.judges[lab.weights]:
        model = texts.setting.judge_model or key  # it judges itself where none is named
        own = replace(texts, setting=replace(texts.setting, judge=judge, judge_model=model))
        try:
            planted, scorer = agreement_of(lab, key, own), scorer_of(lab, key, own, own.references)
            exchanged = _scored(sample, scorer, [s.exchanged for s in sample])
            found[judge] = _scored(sample, scorer, [s.trial.prompt for s in sample])
        except InputError as error:
            yield row("rates", judge, why=str(error))
            continue
        yield from _known(partial(row, "planted", judge), planted)
        for what, trials in (("rates", found[judge]), ("exchanged", exchanged)):
            silent = sum(None in t.scores for t in trials)
            for number in weighed_rates(trials, weights):
                yield row(what, judge, **vars(number), abstained=silent)
        if params.labelled:
            yield from _labelled(partial(row, "labelled", judge), lab, own, params, scorer)
    for (name, one), (other, two) in combinations(found.items(), 2):
        for number in agreement_of_two(one, two, weights, params.least_trials):
            yield row("pair", name, **vars(number), other=other)


def _sample(lab: Lab, texts: OwnTexts, most: int) -> list[StoredTrial]:
    """Up to `most` answers that restart and as many others, each once, and none broken."""
    stored: dict[object, tuple[str, ResistanceTrial]] = {}
    for phase, t in ((p, t) for p in TRIALS for t in lab.rows(p, lab.unit)):
        of = (t.subject, t.direction, t.boost, t.situation, t.ablated, t.variant, t.prompt, t.seed)
        if t.line is not None and not t.degenerate:
            stored.setdefault(of, (phase, t))
    rng, chosen = np.random.default_rng(seed_of("judges", lab.unit, lab.seed)), []
    for restarts in (True, False):
        some = [x for x in stored.values() if x[1].restarted == restarts]
        places = sorted(rng.permutation(len(some))[:most])
        chosen += [(*some[i], len(some) / len(places)) for i in places]
    whole = {p: iter(stored_answers(lab, p, [t for q, t, _ in chosen if q == p])) for p in TRIALS}
    found = list[StoredTrial]()
    for phase, t, weight in chosen:
        text = next(whole[phase])
        attempts = [text[a:b].strip() for a, b in pairwise([*t.starts, len(text)])]
        met = [p for p in texts.references if texts.setting.meets(p, t.concept)]
        other = met[(met.index(t.prompt) + 1) % len(met)]
        found.append(StoredTrial(t, tuple(attempts), weight, other))
    return found


def _scored(
    sample: Sequence[StoredTrial], scorer: AttemptScorer, prompts: Sequence[str]
) -> list[ResistanceTrial]:
    asked = zip(prompts, sample, strict=True)
    scores = iter(scorer([Attempted(prompt, text) for prompt, s in asked for text in s.attempts]))
    return [replace(s.trial, scores=tuple(next(scores) for _ in s.attempts)) for s in sample]


def _known(row: partial[Row], found: PlantedAgreement) -> Iterator[Row]:
    counts = (found.restarts, found.single, found.compared, found.on_topic + found.off_topic)
    for name, n in zip(("recall", "false_splits", "direction", "auroc"), counts, strict=True):
        if (i := getattr(found, name)) is not None:
            yield row(name, n, i.estimate, i.low, i.high, abstained=found.abstained)


def _labelled(
    row: partial[Row], lab: Lab, texts: OwnTexts, params: Params, scorer: AttemptScorer
) -> Iterator[Row]:
    lines = labelled_attempts(lab.file(params.labelled))
    if texts.setting.judge in ("lexical", "embedding"):  # its references are the file's
        scorer = by_halves(lines, partial(scorer_of, lab, lab.unit, texts))
    try:
        yield from _known(row, labelled_agreement(lines, scorer))
    except InputError as error:
        yield row(why=str(error))
