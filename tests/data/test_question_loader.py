"""Do questions in the usual forms come in, and is anything else refused by its line?"""

import json
from collections import Counter
from pathlib import Path

import pytest

from mahals.data.question_loader import OWN, load_questions
from mahals.data.splits import Shares
from mahals.records import InputError

SHARES = Shares(2, 2, 2, 4)


def _jsonl(path: Path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def _row(question="What?", choices=("x", "y", "z"), answer="y"):
    return {"question": question, "choices": choices, "answer": answer}


@pytest.mark.parametrize(
    ("choices", "answer", "place"),
    [
        (["x", "y", "z"], 1, 1), (["x", "y", "z"], "y", 1), (["x", "y", "z"], "C", 2),
        (["x", "y", "z"], "0", 0), ("x|y|z", "z", 2), ('["x", "y"]', "1", 1),
        ({"text": ["x", "y"], "label": ["1", "2"]}, "1", 0),
        ({"text": ["x", "y"], "label": ["A", "B"]}, "B", 1),
        (["2", "3"], "2", 0), ([2, 3], 1, 1),
    ],
)  # fmt: skip
def test_an_answer_is_a_text_a_label_a_letter_or_a_number(tmp_path, choices, answer, place):
    found = load_questions(
        _jsonl(tmp_path / "x.jsonl", [_row(choices=choices, answer=answer)]), SHARES
    )
    assert found.items[0].answer == place


def test_arc_and_mmlu_as_the_hub_has_them(tmp_path):
    arc = {"id": "1", "question": "Why?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}}
    found = load_questions(_jsonl(tmp_path / "x.jsonl", [arc | {"answerKey": "B"}]), SHARES)
    assert (found.items[0].prompt, found.items[0].choices, found.items[0].answer) == (
        "Why?", ("a", "b"), 1,
    )  # fmt: skip
    mmlu = {"question": "Why?", "subject": "x", "choices": ["a", "b", "c", "d"], "answer": 3}
    assert load_questions(_jsonl(tmp_path / "y.jsonl", [mmlu]), SHARES).items[0].answer == 3


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (_row(choices=["x"]), "two different choices"), (_row(choices=["x", "x"]), "two different"),
        (_row(choices=None), "None"), (_row(choices="[x"), "'[x'"), (_row(answer="q"), "'q'"),
        (_row(answer=3), "its number from 0"), (_row(answer=None), "None"),
        (_row(question=" "), "a text in column question"),
        ({"question": "x", "answer": "y"}, "?choices=COLUMN"),
    ],
)  # fmt: skip
def test_a_bad_row_is_refused_by_its_line(tmp_path, bad, words):
    with pytest.raises(InputError) as caught:
        load_questions(_jsonl(tmp_path / "x.jsonl", [_row("one"), bad]), SHARES)
    assert "line 2" in str(caught.value) and words in str(caught.value)


def test_copies_are_left_out_and_csv_works(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("question,choices,answer\nWhy?,a|b,b\nwhy?,a|b,b\nHow?,a|b,a\n")
    found = load_questions(str(path), SHARES)
    assert [(i.key, i.answer) for i in found.items] == [("how?", 0), ("why?", 1)]
    assert found.left_out == {"copy of another row": 1}


def test_own_questions_are_in_every_split_with_every_place_of_the_answer():
    found = load_questions(OWN, SHARES)
    counts = Counter((i.split, i.answer) for i in found.items)
    assert len(counts) == 16 and len(found.items) == found.rows >= 64
    for split in SHARES.names:
        places = [counts[split, place] for place in range(4)]
        assert max(places) - min(places) <= 1
