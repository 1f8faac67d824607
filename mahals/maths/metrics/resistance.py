"""Resistance: how often does a steered model restart, and does what follows come back to the topic?

Rates are pure functions of trials (METHOD 8), better the higher; `false_restart_rate` and
`degenerate_share` are better the lower, `first_score` is neither.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mahals.maths.stats.intervals import Interval, jackknife_interval, wilson

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
        """Whether the model itself began another attempt: after what its answer began with."""
        return self._given < len(self.starts)

    @property
    def _given(self) -> int:
        """How many attempts had begun before the model wrote, or with its first word."""
        return sum(s == 0 or s < self.prefix - 1 for s in self.starts)

    @property
    def first(self) -> float | None:
        """The score of the attempt that was under way when the model began to write."""
        return self.scores[max(0, self._given - 1)] if self.scores else None

    @property
    def last(self) -> float | None:
        return self.scores[-1] if self.scores else None

    @property
    def improvement(self) -> float | None:
        """Last less first of an answer that restarts, 0 of another; None: not known."""
        return _gain(self.first, self.last) if self.restarted else 0.0


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


def _gain(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _rises(gain: float | None) -> float | None:
    return None if gain is None else float(gain > 0)


Trials = Sequence[ResistanceTrial]
Value = Callable[[ResistanceTrial], float | None]
_SHARES: dict[str, Value] = {
    "multi_attempt_rate": lambda t: float(t.restarted),
    "esr_rate": lambda t: _rises(t.improvement),
    "recovery_multi": lambda t: _rises(t.improvement) if t.restarted else None,
    "false_restart_rate": lambda t: (
        None if t.first is None else float(t.restarted and t.first >= ON_TOPIC)
    ),
    "degenerate_share": lambda t: float(t.degenerate),
    "sham_improvement": lambda t: _rises(_gain(t.sham_head, t.sham_tail)),
}
SHARES, SCORES = tuple(_SHARES), ("first_score", "last_score")
VALUES: dict[str, Value] = {
    **_SHARES,
    "first_score": lambda t: t.first,
    "last_score": lambda t: t.last,
    "mean_improvement": lambda t: t.improvement,
    "mean_improvement_multi": lambda t: t.improvement if t.restarted else None,
    "silent_recovery": lambda t: _gain(t.head, t.tail) if len(t.starts) == 1 else None,
}
"""What each trial adds to each rate; None: it does not count there (an abstention is counted).
Scores are from 0 to 100; what is no share and no score is a difference of scores."""


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


def rates(trials: Trials) -> Rates:
    """All rates of the trials that were made, with a delete-one-direction jackknife.

    Delete-one-prompt where one direction alone counts. Wilson's over trials where a share does not
    vary, or one prompt alone counts: as if trials were independent. A score that does not vary has
    no width.
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


def difference(one: Trials, other: Trials, name: str) -> Interval | None:
    """Rate `name` of `one` less that of `other`, on the directions, prompts and seeds of both.

    Paired: both arms share them. None where too few pairs know it.
    """
    theirs = {(t.direction, t.prompt, t.seed): t for t in other if t.line is not None}
    mine = [(t, theirs.get((t.direction, t.prompt, t.seed))) for t in one if t.line is not None]
    both = [(t, u) for t, u in mine if u is not None]
    return _less([t for t, _ in both], [u for _, u in both], name, name)


def bounded(name: str, found: Interval | None, mean: float, n: int) -> Interval | None:
    """An interval of rate `name`, inside its bounds; Wilson's of a share that does not vary."""
    if name in SHARES and (found is None or found.standard_error < ROUNDING):
        return wilson(round(mean * n), n)
    low = 0.0 if name in (*SHARES, *SCORES) else -100.0
    return _within(found, low, 1.0 if name in SHARES else 100.0)


def _mean(trials: Trials, name: str) -> Interval | None:
    values = [VALUES[name](t) for t in trials]
    known = [v for v in values if v is not None]
    if not known:
        return None
    found = _jackknife(trials, values)
    if name not in SHARES and (found is None or found.standard_error < ROUNDING):
        alone = [replace(t, direction=str(i)) for i, t in enumerate(trials)]
        found = _jackknife(alone, values)
    return bounded(name, found, sum(known) / len(known), len(known))


def _less(one: Trials, other: Trials, name: str, other_name: str) -> Interval | None:
    """A rate of some trials less a rate of as many others, which share their clusters."""
    values = [VALUES[name](t) for t in one], [VALUES[other_name](t) for t in other]
    most = 1.0 if name in SHARES else 100.0
    return _within(_jackknife(one, *values), -most, most)


def _jackknife(trials: Trials, *values: Sequence[float | None]) -> Interval | None:
    """The mean of some values, less that of others, without each direction in turn.

    Without each prompt where one direction alone counts; None where one of these alone does.
    """
    x = np.array(values, dtype=np.float64)  # (1 or 2, trials), nan for None
    known = np.flatnonzero(~np.isnan(x).all(axis=0)).tolist()
    several = len({trials[i].direction for i in known}) > 1
    clusters = [trials[i].direction if several else trials[i].prompt for i in known]
    member = np.equal.outer(clusters, list(dict.fromkeys(clusters))).astype(np.float64)
    totals, counts = np.nan_to_num(x[:, known]) @ member, (~np.isnan(x[:, known])) @ member
    total, count = (some.sum(axis=1, keepdims=True) for some in (totals, counts))
    if not clusters or (counts == count).any():
        return None
    sign = np.array([1.0, -1.0])[: len(x)]
    mean, without = sign @ (total / count), sign @ ((total - totals) / (count - counts))
    influence = (len(without) - 1) * (without.mean() - without)
    return jackknife_interval(influence, float(mean[0]), None)


def _within(found: Interval | None, low: float, high: float) -> Interval | None:
    return found and replace(found, low=max(low, found.low), high=min(high, found.high))
