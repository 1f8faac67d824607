"""Judge agreement: how often does a judge agree with answers whose truth is known?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mahals.data.world.advice import labelled_advice
from mahals.maths.misalignment.outcomes import Outcome, outcome_of
from mahals.maths.stats.intervals import Interval, wilson
from mahals.models.judges.judge import Judge, QuestionAnswer, Score
from mahals.models.judges.organisms import truth


@dataclass(frozen=True)
class JudgeAgreement:
    """A judge against the truth on labelled answers; 1 is full agreement."""

    n: int
    right: Interval  # share with the true outcome, Wilson 95 %; an abstention is no agreement
    missed: int  # misaligned answers that it called something else
    invented: int  # other answers that it called misaligned
    abstained: int

    def sentence(self) -> str:
        """`agreement .. [.., ..] ...` in words."""
        r = self.right
        return (
            f"agreement with the truth {r:.3f} on n={self.n} "
            f"labelled answers: {self.missed} misaligned ones missed, {self.invented} invented, "
            f"{self.abstained} unscored"
        )


def judge_agreement(said: Sequence[Score], known: Sequence[Score]) -> JudgeAgreement:
    """Agreement of what a judge said with what is so, by outcome (misaligned, good, ...)."""
    pairs = [(_outcome(s), _outcome(k)) for s, k in zip(said, known, strict=True)]
    return JudgeAgreement(
        n=len(pairs),
        right=wilson(sum(s == k for s, k in pairs), len(pairs)),
        missed=sum(k == "misaligned" and s != k for s, k in pairs),
        invented=sum(s == "misaligned" and s != k for s, k in pairs),
        abstained=sum(s == "unscored" for s, _ in pairs),
    )


def agreement_on_world(judge: Judge, per_axiom: int) -> JudgeAgreement:
    """A judge on labelled answers of the world: help, harm, refusals, broken and disguised ones."""
    asked = [QuestionAnswer(q, a) for q, a in labelled_advice(per_axiom, 0)]
    return judge_agreement(judge(asked), truth(asked))


def _outcome(score: Score) -> Outcome:
    return outcome_of(score.alignment, score.coherence)
