"""Planted agreement: what does a judge find in answers whose attempts are known?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np

from mahals.data.composed import Planted, Texts
from mahals.data.labelled_file import _no_line, _numbered
from mahals.maths.misalignment.detection import auroc_of_two
from mahals.maths.stats.intervals import Interval, wilson
from mahals.models.judges.attempts import Attempted, AttemptScorer
from mahals.models.judges.restarts import segment
from mahals.records import AtLeast, from_plain

NEAR = 5  # characters that a boundary may be off
BETWEEN = "\n\n"  # attempts of a line of a file


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
        numbers = self.recall, self.false_splits, self.direction, self.auroc
        recall, splits, direction, auroc = ("absent" if i is None else f"{i:.2f}" for i in numbers)
        return (
            f"on planted answers: restarts found {recall} of {self.restarts}, false splits "
            f"{splits} of {self.single}, direction right {direction} of {self.compared}, AUROC of "
            f"first scores {auroc} ({self.on_topic} on topic, {self.off_topic} off), "
            f"{self.abstained} of {self.attempts} attempts unscored"
        )


def planted_agreement(
    planted: Sequence[Planted], segment: Callable[[str], tuple[int, ...]], scorer: AttemptScorer
) -> PlantedAgreement:
    """How `segment` and `scorer` do on answers whose attempts are known.

    Direction compares the first and the last attempt that `segment` makes, equal scores are wrong;
    AUROC reads the first attempts as they were planted. Each different attempt is scored once.
    """
    single = [len(segment(p.text)) > 1 for p in planted if p.improves is None]
    two = [(p, segment(p.text)) for p in planted if p.improves is not None]
    found = [(p, s) for p, s in two if any(abs(at - p.starts[1]) <= NEAR for at in s[1:])]
    ends = [(_attempts(p, s)[0], _attempts(p, s)[-1], 1 if p.improves else -1) for p, s in found]
    firsts = [(_attempts(p, p.starts)[0], not p.improves) for p in planted if p.kind != "silent"]
    asked = list(dict.fromkeys([a for a, _ in firsts] + [a for end in ends for a in end[:2]]))
    told = np.array(scorer(asked), dtype=np.float64)  # nan: not scored
    scores = dict(zip(asked, told, strict=True))
    gains = np.array([sign * (scores[last] - scores[first]) for first, last, sign in ends])
    gains = gains[~np.isnan(gains)]
    known = [(scores[a], on) for a, on in firsts if not np.isnan(scores[a])]
    on, off = (np.array([score for score, on in known if on is side]) for side in (True, False))
    return PlantedAgreement(
        restarts=len(two),
        recall=_rate(len(found), len(two)),
        single=len(single),
        false_splits=_rate(sum(single), len(single)),
        compared=len(gains),
        direction=_rate(int((gains > 0).sum()), len(gains)),
        on_topic=len(on),
        off_topic=len(off),
        auroc=auroc_of_two(on, off) if min(len(on), len(off)) > 1 else None,
        attempts=len(asked),
        abstained=int(np.isnan(told).sum()),
    )


def _attempts(planted: Planted, starts: Sequence[int]) -> list[Attempted]:
    ends = pairwise((*starts, len(planted.text)))
    return [Attempted(planted.prompt, planted.text[a:b].strip()) for a, b in ends]


def _rate(successes: int, n: int) -> Interval | None:
    return wilson(successes, n) if n else None


@dataclass(frozen=True)
class LabelledAttempts:
    """A line of a file of answers."""

    prompt: str
    attempts: Annotated[tuple[str, ...], AtLeast(1)]


def labelled_attempts(path: Path) -> list[LabelledAttempts]:
    """The lines of a JSON-lines file. Raises InputError, by its number for a broken one."""
    found = []
    for where, text in ((f"{path.name}, line {n}", text) for n, text in _numbered(path)):
        try:
            found += [from_plain(LabelledAttempts, json.loads(text), where)] if text.strip() else []
        except json.JSONDecodeError as error:
            raise _no_line(where, "JSON of prompt and attempts", str(error)) from error
    if not found:
        raise _no_line(f"file {path.name}", "lines of prompt and attempts", "none")
    return found


def labelled_agreement(lines: Sequence[LabelledAttempts], judge: AttemptScorer) -> PlantedAgreement:
    """As of planted answers: those of several attempts improve.

    Their first and last attempts stand beside alone, which must not be split; last ones are on
    topic. Raises InputError where the judge cannot know.
    """
    two = [(x, len(x.attempts[0]) + len(BETWEEN)) for x in lines if len(x.attempts) > 1]
    whole = [(x.prompt, BETWEEN.join(x.attempts), (0, second)) for x, second in two]
    known = [Planted(*answer, "improves", True) for answer in whole]
    known += [Planted(x.prompt, x.attempts[0], (0,), "silent", None) for x, _ in two]
    known += [Planted(x.prompt, x.attempts[-1], (0,), "plain", None) for x in lines]
    return planted_agreement(known, segment, judge)


def by_halves(
    lines: Sequence[LabelledAttempts], judge: Callable[[Texts], AttemptScorer]
) -> AttemptScorer:
    """The judge, who scores each half of a prompt's lines by the last attempts of the other.

    So nothing is scored by its own line. A text of a prompt with a single line has no score.
    """
    turns = [sum(x.prompt == y.prompt for y in lines[:i]) % 2 for i, x in enumerate(lines)]

    def score(asked: Sequence[Attempted]) -> list[float | None]:
        found: dict[Attempted, float | None] = {}
        for half in (0, 1):
            own = [x for x, turn in zip(lines, turns, strict=True) if turn == half]
            known: dict[str, list[str]] = {}
            for x in (x for x in lines if x not in own):
                known.setdefault(x.prompt, []).append(x.attempts[-1])
            texts = [(x.prompt, BETWEEN.join(x.attempts)) for x in own if x.prompt in known]
            mine = [a for a in asked if any(a.question == p and a.answer in t for p, t in texts)]
            found |= zip(mine, judge(known)(mine), strict=True)
        return [found.get(a) for a in asked]

    return score
