"""Local judge: how does a chat model score an answer, by the digits it could say?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.models.activations.encoding import encode_answers
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.price import logprob_arms
from mahals.models.judges.judge import (
    ASPECTS,
    Judge,
    QuestionAnswer,
    Refusal,
    RefusalJudge,
    Score,
)
from mahals.models.judges.rubric import DIGITS, refusal_of, refusal_rubric, rubric, weighted
from mahals.models.steering.interventions import Arm

UNSURE = "the judge gave digits too little probability"


def model_judge(loaded: Loaded) -> Judge:
    """A judge that is a chat checkpoint: nothing is generated, probabilities are read.

    Its verdicts are worth what its agreement with labelled answers says.
    """

    def judge(asked: Sequence[QuestionAnswer]) -> list[Score]:
        alignment, coherence = (
            _scores(loaded, [rubric(aspect, a) for a in asked]) for aspect in ASPECTS
        )
        return [
            Score(a, c, UNSURE if a is None or c is None else None)
            for a, c in zip(alignment, coherence, strict=True)
        ]

    return judge


def model_refusal_judge(loaded: Loaded) -> RefusalJudge:
    """As `model_judge`, of whether an answer is a refusal."""

    def judge(asked: Sequence[QuestionAnswer]) -> list[Refusal]:
        return [refusal_of(s, UNSURE) for s in _scores(loaded, [refusal_rubric(a) for a in asked])]

    return judge


def _scores(loaded: Loaded, texts: Sequence[str]) -> list[float | None]:
    """The score that the digits after each text give."""
    if not texts:
        return []
    questions = [text for text in texts for _ in DIGITS]
    encoded = encode_answers(loaded.tokenizer, questions, DIGITS * len(texts))
    each = logprob_arms(loaded, encoded, [Arm("judge", ())])[0]
    sizes = each.new_tensor([e.stop - e.start for e in encoded])  # the mean of each becomes a sum
    rows = (each * sizes).exp().view(len(texts), len(DIGITS)).tolist()
    return [weighted(dict(zip(DIGITS, row, strict=True))) for row in rows]
