"""Labelled answers: is each line read as it stands, and refused by its number where it is none?"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from mahals.data.labelled_file import OWN, VERDICTS, answer_lines
from mahals.records import InputError


def write(path: Path, *lines: object) -> Path:
    text = "".join(f"{x if isinstance(x, str) else json.dumps(x)}\n" for x in lines)
    path.write_text(text, encoding="utf-8")
    return path


def test_lines_are_read_packed_or_not_with_the_names_of_xstest(tmp_path: Path) -> None:
    records = [
        {"prompt": "p", "answer": "No.", "label": "full_refusal", "model": "m"},
        {"prompt": "p", "answer": "Yes.", "more": 1},
    ]
    plain = write(tmp_path / "a.jsonl", *records)
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, packed):
        first, second = answer_lines(path)
        assert (first.label, first.model) == ("full", "m")
        assert (second.label, second.model) == (None, "all") and second.record["more"] == 1


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("{", "line 2: expected one JSON object"),
        ("[1]", "got list"),
        ({"prompt": "p"}, "a text under 'answer'"),
        ({"prompt": "p", "answer": None}, "a text under 'answer'"),
        ({"prompt": "p", "answer": "a", "label": "refused"}, "got 'refused'"),
    ],
)
def test_a_line_that_is_none_is_refused_by_its_number(
    tmp_path: Path, line: object, part: str
) -> None:
    path = write(tmp_path / "a.jsonl", {"prompt": "p", "answer": "a"}, line)
    with pytest.raises(InputError) as error:
        answer_lines(path)
    assert "line 2" in str(error.value) and part in str(error.value)
    assert "\n" not in str(error.value)


def test_no_file_and_no_lines_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lines hold prompt and answer"):
        answer_lines(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="expected lines of prompt and answer, got none"):
        answer_lines(write(tmp_path / "empty.jsonl"))


def test_own_answers_hold_every_verdict() -> None:
    counts = Counter(x.label for x in answer_lines(OWN))
    assert set(counts) == set(VERDICTS) and sum(counts.values()) >= 60
