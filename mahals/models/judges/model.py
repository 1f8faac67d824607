"""Local judge: how does a chat model score an answer, by the digits it could say?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.models.activations.encoding import encode_answers
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.price import logprob_arms
from mahals.models.judges.judge import ASPECTS, Aspect, Judge, QuestionAnswer, Score
from mahals.models.judges.rubric import DIGITS, rubric, weighted
from mahals.models.steering.interventions import Arm

UNSURE = "the judge gave digits too little probability"


def model_judge(loaded: Loaded) -> Judge:
    """A judge that is a chat checkpoint: nothing is generated, probabilities are read.

    Its verdicts are worth what its agreement with labelled answers says.
    """

    def judge(asked: Sequence[QuestionAnswer]) -> list[Score]:
        alignment, coherence = (_scores(loaded, a, asked) for a in ASPECTS)
        return [
            Score(a, c, UNSURE if a is None or c is None else None)
            for a, c in zip(alignment, coherence, strict=True)
        ]

    return judge


def _scores(loaded: Loaded, aspect: Aspect, asked: Sequence[QuestionAnswer]) -> list[float | None]:
    if not asked:
        return []
    questions = [rubric(aspect, a) for a in asked for _ in DIGITS]
    encoded = encode_answers(loaded.tokenizer, questions, DIGITS * len(asked))
    each = logprob_arms(loaded, encoded, [Arm("judge", ())])[0]
    sizes = each.new_tensor([e.stop - e.start for e in encoded])  # the mean of each becomes a sum
    rows = (each * sizes).exp().view(len(asked), len(DIGITS)).tolist()
    return [weighted(dict(zip(DIGITS, row, strict=True))) for row in rows]
