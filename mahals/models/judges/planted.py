"""Planted agreement: what does a judge find in answers whose attempts are known?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mahals.data.composed import Planted
from mahals.maths.misalignment.detection import auroc_of_two
from mahals.maths.stats.intervals import Interval, wilson
from mahals.models.judges.attempts import Attempted, AttemptScorer

NEAR = 5  # characters that a boundary may be off


@dataclass(frozen=True)
class PlantedAgreement:
    """A judge of attempts against planted answers. An absent interval: there was nothing to count.

    Rates with Wilson's 95 % interval, AUROC with DeLong's.
    """

    restarts: int  # answers with one restart
    recall: Interval | None  # share of them whose boundary is within NEAR characters; 1 is best
    single: int  # answers that are one attempt: silent ones and plain ones
    false_splits: Interval | None  # share of them that are split; 0 is best
    compared: int  # restarts that were found and whose first and last attempt were scored
    direction: Interval | None  # share of them that rise or fall as they should; 1 is best
    on_topic: int  # scored first attempts that are on topic: of plain and of worsening answers
    off_topic: int  # scored first attempts that are off topic: of improving answers
    auroc: Interval | None  # of those scores, on against off topic; 1 is best, .5 chance
    attempts: int  # different ones that were given to the judge
    abstained: int  # of them, those without a score

    def sentence(self) -> str:
        """`restarts found .. [.., ..] of n, ...` in words."""
        return (
            f"on planted answers: restarts found {_words(self.recall)} of {self.restarts}, false "
            f"splits {_words(self.false_splits)} of {self.single}, direction right "
            f"{_words(self.direction)} of {self.compared}, AUROC of first scores "
            f"{_words(self.auroc)} ({self.on_topic} on topic, {self.off_topic} off), "
            f"{self.abstained} of {self.attempts} attempts unscored"
        )


def planted_agreement(
    planted: Sequence[Planted], segment: Callable[[str], tuple[int, ...]], scorer: AttemptScorer
) -> PlantedAgreement:
    """How `segment` and `scorer` do on answers whose attempts are known.

    Direction compares the first and the last attempt that `segment` makes, equal scores are wrong;
    AUROC reads the first attempts as they were planted. Each different attempt is scored once.
    """
    split = [(p, segment(p.text)) for p in planted]
    single = [len(s) > 1 for p, s in split if p.improves is None]
    found = [(p, s) for p, s in split if p.improves is not None and _near(s, p.starts[1])]
    ends = [(_attempt(p, s, 0), _attempt(p, s, -1), p.improves) for p, s in found]
    firsts = [(_attempt(p, p.starts, 0), not p.improves) for p in planted if p.kind != "silent"]
    asked = dict.fromkeys([a for a, _ in firsts] + [a for end in ends for a in end[:2]])
    scores = dict(zip(asked, scorer(list(asked)), strict=True))
    right = [
        last > first if rises else last < first
        for a, b, rises in ends
        if (first := scores[a]) is not None and (last := scores[b]) is not None
    ]
    on, off = (
        [score for a, on in firsts if on is side and (score := scores[a]) is not None]
        for side in (True, False)
    )
    return PlantedAgreement(
        restarts=len(planted) - len(single),
        recall=_rate(len(found), len(planted) - len(single)),
        single=len(single),
        false_splits=_rate(sum(single), len(single)),
        compared=len(right),
        direction=_rate(sum(right), len(right)),
        on_topic=len(on),
        off_topic=len(off),
        auroc=auroc_of_two(np.array(on), np.array(off)) if min(len(on), len(off)) > 1 else None,
        attempts=len(scores),
        abstained=sum(score is None for score in scores.values()),
    )


def _near(starts: Sequence[int], start: int) -> bool:
    return any(abs(s - start) <= NEAR for s in starts[1:])


def _attempt(planted: Planted, starts: Sequence[int], at: int) -> Attempted:
    """The attempt number `at` (0 the first, -1 the last) of a text, cut at `starts`."""
    bounds = (*starts, len(planted.text))
    first, last = (bounds[0], bounds[1]) if at == 0 else (bounds[-2], bounds[-1])
    return Attempted(planted.prompt, planted.text[first:last].strip())


def _rate(successes: int, n: int) -> Interval | None:
    return wilson(successes, n) if n else None


def _words(interval: Interval | None) -> str:
    return "absent" if interval is None else f"{interval:.2f}"
