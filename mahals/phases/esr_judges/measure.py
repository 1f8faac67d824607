"""Measure of esr_judges: what does every judge find in the same answers, none of them new?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, pairwise

import numpy as np
from scipy.stats import kendalltau

from mahals.evaluation.resistance.episodes import agreement_of, scorer_of, stored_answers
from mahals.evaluation.resistance.setting import OwnTexts, own_texts
from mahals.maths.metrics.resistance import VALUES, ResistanceTrial, Trials, bounded
from mahals.maths.stats.agreement import kappa
from mahals.maths.stats.intervals import Floats, Interval, jackknife_interval, wilson
from mahals.maths.stats.ranks import spearman
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

RATES = ("first_score", "last_score", "esr_rate", "recovery_multi", "false_restart_rate")
COLUMNS = ("subject", "situation", "ablated", "variant", "level")  # trials of a cell are alike


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
            yield from weighed_rates(partial(row, what, judge, abstained=silent), trials, weights)
        if params.labelled:
            yield from _labelled(partial(row, "labelled", judge), lab, own, params, scorer)
    for (name, one), (other, two) in combinations(found.items(), 2):
        both = list(zip(one, two, weights, strict=True))
        pair = partial(row, "pair", name, other=other)
        yield from agreement_of_two(pair, both, params.least_trials)


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
            yield row(name, n, *_ends(i), abstained=found.abstained)


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


def weighed_rates(row: partial[Row], trials: Trials, weights: Sequence[float]) -> Iterator[Row]:
    """The rates of all trials that a sample stands for: jackknife over directions, or Wilson's."""
    for name in RATES:
        known = _known_to_all([(VALUES[name](t), w) for t, w in zip(trials, weights, strict=True)])
        (x, w), clusters = known.T, [t.direction for t in trials if VALUES[name](t) is not None]
        if len(set(clusters)) < 2:
            yield row(name, len(x), why="trials of fewer than two directions know it")
            continue
        mean = float(np.average(x, weights=w))
        found = jackknife_interval(len(x) * w * (x - mean) / w.sum(), mean, clusters)
        yield row(name, len(x), *_ends(bounded(name, found, mean, len(x))))


def agreement_of_two(
    row: partial[Row], both: Sequence[tuple[ResistanceTrial, ResistanceTrial, float]], least: int
) -> Iterator[Row]:
    """Four numbers of two judges of the same trials, from those that both scored; 1 is best.

    direction: share of restarts in which both see a rise, a fall or neither. verdict: kappa of "it
    comes back". first_scores: Spearman's rho. cells: Kendall's tau-b of the ESR rates of cells of
    `least` trials or more.
    """
    x, y = _known_to_all([(a.improvement, b.improvement) for a, b, _ in both if a.restarted]).T
    if len(x) < 2:
        why = "fewer than two restarts that both scored"
        yield from (row(name, len(x), why=why) for name in ("direction", "verdict"))
    else:
        same = int((np.sign(x) == np.sign(y)).sum())
        yield row("direction", len(x), *_ends(wilson(same, len(x))))
        k = kappa(x > 0, y > 0, None)
        yield replace(row("verdict", len(x), *_ends(k.interval), why=k.reason), estimate=k.kappa)
    firsts = _known_to_all([(a.first, b.first) for a, b, _ in both]).T
    try:
        r = spearman(firsts[0], firsts[1], 0)
        yield row("first_scores", r.n, r.rho, r.low, r.high)
    except InputError as error:
        yield row("first_scores", len(firsts[0]), why=str(error))
    cells: dict[object, list[tuple[float | None, ...]]] = defaultdict(list)
    for a, b, weight in both:
        values = VALUES["esr_rate"](a), VALUES["esr_rate"](b), weight
        cells[tuple(getattr(a, c) for c in COLUMNS)].append(values)
    large = [known for own in cells.values() if len(known := _known_to_all(own)) >= least]
    rates = [np.average(own[:, :2], axis=0, weights=own[:, 2]) for own in large]
    tau = kendalltau(*np.array(rates).T).statistic if len(rates) > 1 else np.nan
    missing = "fewer than two cells, or a judge with one rate in all" if np.isnan(tau) else None
    yield row("cells", len(rates), None if missing else float(tau), why=missing)


def _ends(found: Interval | None) -> tuple[float, ...]:
    return (found.estimate, found.low, found.high) if found else ()


def _known_to_all(values: Sequence[tuple[float | None, ...]]) -> Floats:
    """(n, 2 or more): those of which all are known."""
    found = [v for v in values if None not in v]
    return np.array(found, dtype=np.float64).reshape(len(found), -1 if found else 2)
