"""Resistance: how often does a steered model restart, and does what follows come back to the topic?

Rates are pure functions of trials (METHOD 8). A restart counts where the model wrote it: after what
its answer was made to begin with. Every rate but `first_score` and the prices is better the higher
it is; `false_restart_rate`, `degenerate_share` are better the lower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mahals.maths.stats.intervals import Floats, Interval, jackknife_interval, wilson

ON_TOPIC = 80.0  # a first attempt of that score needs no other
NONE = "none"
ROUNDING = 1e-9  # a smaller standard error: nothing varies


@dataclass(frozen=True)
class ResistanceTrial:
    """One answer under one cell: who is steered along what, how far, from which beginning."""

    model: str
    weights: str
    subject: str  # aligned, or a checkpoint of esr_finetune
    direction: str
    source: str  # contrast | latent | random | none
    concept: str
    boost: float  # in mean lengths of the model's states; 0: unsteered
    level: float | None  # standard deviations from the threshold
    situation: str
    ablated: str  # the latents held at 0
    variant: str  # the wording of the prompt
    prompt: str
    taught: str  # both | prompt | concept | neither
    seed: int
    answers: str  # kept lines of prompt, prefix and answer
    line: int | None  # from 0; None: no trial was made
    prefix: int = 0  # characters that the answer was made to begin with
    tokens: int = 0  # written
    degenerate: bool = False
    starts: tuple[int, ...] = ()  # of attempts, in characters
    scores: tuple[float | None, ...] = ()  # of attempts, 0 to 100; None: the judge abstained
    head: float | None = None  # score of the first third of an answer of one attempt
    tail: float | None = None
    sham_head: float | None = None  # the same cut where an answer of several attempts restarts
    sham_tail: float | None = None
    judge: str = ""
    agreement: str = ""  # kept: how well this judge knows planted answers
    why: str | None = None  # why there is no trial

    @property
    def restarted(self) -> bool:
        """Whether the model itself began another attempt."""
        return any(s > 0 and s >= self.prefix - 1 for s in self.starts)

    @property
    def first(self) -> float | None:
        """The score of the first attempt."""
        return self.scores[0] if self.scores else None

    @property
    def last(self) -> float | None:
        """The score of the last attempt."""
        return self.scores[-1] if self.scores else None

    @property
    def improvement(self) -> float | None:
        """Last less first of an answer that restarts, 0 of another; None: not known."""
        if not self.restarted:
            return 0.0
        return None if self.first is None or self.last is None else self.last - self.first

    @property
    def sham_improves(self) -> bool | None:
        """Whether an answer of one attempt scores higher after an arbitrary cut."""
        if self.sham_head is None or self.sham_tail is None:
            return None
        return self.sham_tail > self.sham_head


@dataclass(frozen=True)
class Threshold:
    """The boost at which first attempts along a direction score the target on average."""

    model: str
    weights: str
    subject: str
    direction: str
    source: str
    concept: str
    ablated: str
    target: float  # 0 to 100
    boost: float
    sd: float  # of the search's posterior
    queries: int
    hit_bound: bool  # an end of the grid
    reached: float | None  # mean first score on fresh prompts
    reached_low: float | None
    reached_high: float | None
    degenerate_share: float
    usable: bool
    why: str | None  # why it is not


Value = Callable[[ResistanceTrial], float | None]


def _flag(value: bool | None) -> float | None:
    return None if value is None else float(value)


def _false_restart(t: ResistanceTrial) -> float | None:
    return None if t.first is None else float(t.restarted and t.first >= ON_TOPIC)


def _recovers(t: ResistanceTrial) -> float | None:
    gain = t.improvement
    return None if gain is None else float(gain > 0)


def _silent(t: ResistanceTrial) -> float | None:
    single = len(t.starts) == 1 and t.head is not None and t.tail is not None
    return (t.tail or 0.0) - (t.head or 0.0) if single else None


VALUES: dict[str, Value] = {
    "multi_attempt_rate": lambda t: float(t.restarted),
    "esr_rate": _recovers,
    "first_score": lambda t: t.first,
    "last_score": lambda t: t.last,
    "mean_improvement": lambda t: t.improvement,
    "mean_improvement_multi": lambda t: t.improvement if t.restarted else None,
    "recovery_multi": lambda t: _recovers(t) if t.restarted else None,
    "false_restart_rate": _false_restart,
    "silent_recovery": _silent,
    "degenerate_share": lambda t: float(t.degenerate),
    "sham_improvement": lambda t: _flag(t.sham_improves),
}
"""What each trial adds to each rate; None: it does not count there (an abstention is counted)."""
SHARES = (
    "multi_attempt_rate",
    "esr_rate",
    "recovery_multi",
    "false_restart_rate",
    "degenerate_share",
    "sham_improvement",
)


SCORES = ("first_score", "last_score")  # from 0 to 100; what is left are differences of them


@dataclass(frozen=True)
class Rates:
    """Rates of some trials with 95 % intervals; None where too few answers know it."""

    n: int  # trials made
    absent: int  # trials that could not be made
    episodes: int  # trials that restart
    abstained: int  # trials with an attempt that the judge did not score
    multi_attempt_rate: Interval | None
    esr_rate: Interval | None  # restarts, and the last attempt scores above the first
    first_score: Interval | None
    last_score: Interval | None
    mean_improvement: Interval | None  # over all trials, 0 without a restart
    mean_improvement_multi: Interval | None
    recovery_multi: Interval | None  # of those that restart, the share that scores higher after it
    false_restart_rate: Interval | None  # restarts though the first attempt scores 80 or more
    silent_recovery: Interval | None  # last third less first third, answers of one attempt
    degenerate_share: Interval | None
    sham_improvement: Interval | None  # share of one-attempt answers that "improve" at a sham cut
    recovery_over_sham: Interval | None  # recovery_multi less sham_improvement


def rates(trials: Sequence[ResistanceTrial]) -> Rates:
    """All rates of the trials that were made, with a delete-one-direction jackknife.

    Delete-one-prompt where one direction alone counts; Wilson's where a share does not vary.
    """
    made = [t for t in trials if t.line is not None]
    return Rates(
        n=len(made),
        absent=len(trials) - len(made),
        episodes=sum(t.restarted for t in made),
        abstained=sum(None in t.scores for t in made),
        recovery_over_sham=_less(made, made, "recovery_multi", "sham_improvement"),
        **{name: _mean(made, name) for name in VALUES},
    )


def difference(
    one: Sequence[ResistanceTrial], other: Sequence[ResistanceTrial], name: str
) -> Interval | None:
    """Rate `name` of `one` less that of `other`, on the directions, prompts and seeds of both.

    Paired: both arms share them. None where too few pairs know it.
    """
    theirs = {_pair(t): t for t in other if t.line is not None}
    mine = [t for t in one if t.line is not None and _pair(t) in theirs]
    return _less(mine, [theirs[_pair(t)] for t in mine], name, name)


def _pair(t: ResistanceTrial) -> tuple[str, str, int]:
    return t.direction, t.prompt, t.seed


@dataclass(frozen=True)
class _Sums:
    """What the trials of each cluster add to a mean."""

    totals: Floats  # (G,)
    counts: Floats  # (G,)

    @staticmethod
    def of(values: Sequence[float | None], clusters: Sequence[str]) -> _Sums:
        """Of one value a trial; None does not count."""
        places = {name: i for i, name in enumerate(dict.fromkeys(clusters))}
        sums = _Sums(np.zeros(len(places)), np.zeros(len(places)))
        for value, cluster in zip(values, clusters, strict=True):
            if value is not None:
                sums.totals[places[cluster]] += value
                sums.counts[places[cluster]] += 1
        return sums

    def mean(self) -> float:
        """Over all clusters."""
        return float(self.totals.sum() / self.counts.sum())

    def without(self) -> Floats:
        """(G,): the mean without each cluster in turn."""
        return np.asarray(
            (self.totals.sum() - self.totals) / (self.counts.sum() - self.counts), dtype=np.float64
        )

    def lasts(self) -> bool:
        """Whether something counts whichever cluster is left out."""
        return len(self.counts) > 1 and bool((self.counts < self.counts.sum()).all())


def _clusters(trials: Sequence[ResistanceTrial]) -> list[str]:
    """What intervals cluster on: directions, or prompts of a single one."""
    several = len({t.direction for t in trials}) > 1
    return [t.direction if several else t.prompt for t in trials]


def _jackknife(estimate: float, without: Floats) -> Interval:
    """The interval of an estimate, from what it is without each of G clusters."""
    influence = (len(without) - 1) * (without.mean() - without)
    return jackknife_interval(influence, estimate, None)


def _mean(trials: Sequence[ResistanceTrial], name: str) -> Interval | None:
    known = [(t, v) for t in trials if (v := VALUES[name](t)) is not None]
    if not known:
        return None
    values, counted = [v for _, v in known], [t for t, _ in known]
    found = _of_clusters(values, _clusters(counted))
    if name in SHARES:
        if found is None or found.standard_error < ROUNDING:
            return wilson(round(sum(values)), len(values))
        return _within(found, 0.0, 1.0)
    if found is None or found.standard_error < ROUNDING:
        found = _of_clusters(values, [str(i) for i in range(len(values))])
    return None if found is None else _within(found, 0.0 if name in SCORES else -100.0, 100.0)


def _within(found: Interval, low: float, high: float) -> Interval:
    return replace(found, low=max(low, found.low), high=min(high, found.high))


def _of_clusters(values: Sequence[float], clusters: Sequence[str]) -> Interval | None:
    sums = _Sums.of(values, clusters)
    return _jackknife(sums.mean(), sums.without()) if sums.lasts() else None


def _less(
    one: Sequence[ResistanceTrial], other: Sequence[ResistanceTrial], name: str, other_name: str
) -> Interval | None:
    """A rate of some trials less a rate of as many others, which share their clusters."""
    values = [VALUES[name](t) for t in one], [VALUES[other_name](t) for t in other]
    counted = [i for i, pair in enumerate(zip(*values, strict=True)) if pair != (None, None)]
    clusters = _clusters([one[i] for i in counted])
    first, second = (_Sums.of([own[i] for i in counted], clusters) for own in values)
    if not (first.lasts() and second.lasts()):
        return None
    found = _jackknife(first.mean() - second.mean(), first.without() - second.without())
    most = 1.0 if name in SHARES else 100.0
    return _within(found, -most, most)
