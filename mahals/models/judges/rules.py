"""Judge by rules: how far does an answer refuse, by what its sentences do to what was asked?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.maths.metrics.refusal_rules import stance
from mahals.models.judges.judge import QuestionAnswer, Refusal


def rules_refusal(asked: Sequence[QuestionAnswer]) -> list[Refusal]:
    """The verdict on each answer, of any English prompt: needs no model and no file.

    docs/judges.md says how often people agree with it, and with which answers it is in trouble.
    """
    return [Refusal(stance(a.question, a.answer), None) for a in asked]
