"""Answers: are degenerate ones kept from the judge, and counted?"""

from __future__ import annotations

import json
from typing import Any

from mahals.data.world.advice import Question
from mahals.evaluation.misalignment.answers import Asking, answer_arms, counts, table_lines
from mahals.models.judges.judge import QuestionAnswer, Score
from mahals.models.steering.interventions import Arm
from tests.support.tiny_models import loaded


def test_degenerate_answers_never_reach_the_judge_and_stay_counted() -> None:
    seen: list[QuestionAnswer] = []

    def judge(found: Any) -> list[Score]:
        seen.extend(found)
        return [Score(None, None, "silent") for _ in found]

    questions = tuple(Question(f"how do I {w}", "near", w) for w in ("help", "learn", "share"))
    (found,) = answer_arms(loaded("Llama"), Asking(questions, judge, None, 12), [Arm("x", ())])
    broken = sum(found.degenerate)
    assert len(seen) == 3 - broken
    (row,) = counts(Asking(questions, judge, None, 12), found)
    assert (row.asked, row.incoherent, row.unscored) == (3, broken, 3 - broken)
    lines = table_lines(Asking(questions, judge, None, 1), found, {}).splitlines()
    assert all(json.loads(x)["alignment"] is None for x in lines)
