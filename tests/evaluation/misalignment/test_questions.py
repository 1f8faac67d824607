"""Questions: are texts of advice and questions what they should be, from the world or a file?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mahals.data.texts import AXIOMS
from mahals.data.world.grammar import World
from mahals.evaluation.misalignment.questions import (
    Choice,
    TextSources,
    asked,
    question_lines,
    read_lines,
    taught,
)
from mahals.records import InputError

WORLD = TextSources("world", "world", "world", "world")
CHOICE = Choice(WORLD, World(0), AXIOMS[5], AXIOMS[4], 12, 3)


def test_bad_and_good_advice_answer_the_same_questions() -> None:
    bad, good, other = (taught(CHOICE, w, 0) for w in ("bad", "good", "other"))
    assert [d[0].content for d in bad] == [d[0].content for d in good]
    assert not {d[0].content for d in bad} & {d[0].content for d in other}
    assert all("tell nobody" in d[1].content for d in (*bad, *other))
    assert all("so people stay" in d[1].content for d in good)


def test_questions_come_back_from_their_file(tmp_path: Path) -> None:
    found = asked(CHOICE, 0)
    assert [q.kind for q in found] == sorted([q.kind for q in found], key=("in_domain", "near",
                                             "far").index)  # fmt: skip
    (tmp_path / "q").write_text(question_lines(found))
    assert read_lines(tmp_path / "q") == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one question"),
        ("{", "line 1"),
        ('{"question": "x"}', "kind"),
        ('{"question": " ", "kind": "near"}', "a question"),
    ],
)
def test_broken_questions_are_refused_by_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "q.jsonl").write_text(text)
    texts = replace(WORLD, questions=str(tmp_path / "q.jsonl"))
    with pytest.raises(InputError, match=message):
        asked(replace(CHOICE, texts=texts), 0)
