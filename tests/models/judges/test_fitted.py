"""Fitted judges: do they learn what labels say, and refuse labels that teach nothing?"""

from __future__ import annotations

import pytest

from mahals.data.labelled_file import OWN, FileLine, answer_lines
from mahals.models.judges.fitted import states_judge, words_judge
from mahals.models.judges.judge import QuestionAnswer, RefusalJudge
from mahals.records import InputError
from tests.support.tiny_models import fresh


def planted(n: int) -> list[FileLine]:
    """Answers whose label hangs on one word, which no rule knows."""
    made = []
    for i in range(n):
        label = ("full", "none")[i % 2]
        word = ("quiet", "river")[i % 2]
        text = f"the {word} town {'cat mat'[: 3 + i % 4]}"
        made.append(FileLine(f"the mat {i}", text, label, "m", {}))  # type: ignore[arg-type]
    return made


def learned(judge: RefusalJudge) -> list[str | None]:
    texts = ("a quiet town and a mat", "a river town and a mat")
    return [r.verdict for r in judge([QuestionAnswer("what is it", t) for t in texts])]


def test_words_teach_a_judge() -> None:
    judge = words_judge(planted(40))
    assert learned(judge) == ["full", "none"] and judge([]) == []


def test_states_teach_a_judge_what_they_hold() -> None:
    one = fresh("Llama", 3)
    one.model.config.max_position_embeddings = 4096
    lines = planted(40)
    judge = states_judge(lines, one)
    said = judge([QuestionAnswer(x.prompt, x.answer) for x in lines])
    assert sum(s.verdict == x.label for s, x in zip(said, lines, strict=True)) >= 36


def test_labels_of_one_kind_teach_nothing() -> None:
    lines = [x for x in answer_lines(OWN) if x.label in ("none", "degenerate")]
    with pytest.raises(InputError, match="of 1 kinds"):
        words_judge(lines)
