"""Is a file of answers read by its lines, and is nothing in it scored by its own line?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from mahals.data.composed import RESTARTS
from mahals.maths.stats.intervals import wilson
from mahals.models.judges.attempts import Attempted, AttemptScorer, References, reference_relevance
from mahals.models.judges.labelled_attempts import (
    LabelledAttempts,
    by_halves,
    labelled_agreement,
    labelled_attempts,
)
from mahals.models.judges.restarts import segment
from tests.support.places import SHARED
from tests.support.tiny_lab import refused

OFF = "Lava is hot. Lava flows."
LINES = [
    LabelledAttempts(p, (f"{OFF} Off {i}.", f"{RESTARTS[i]}Mend it. On {i}."))
    for i, p in enumerate("aabab")
]


def write(folder: Path, lines: Sequence[str]) -> Path:
    (folder / "file.jsonl").write_text("\n".join(lines))
    return folder / "file.jsonl"


def test_lines_come_in_order_and_blank_ones_are_none(tmp_path: Path) -> None:
    texts = [json.dumps({"prompt": x.prompt, "attempts": x.attempts}) for x in LINES]
    assert labelled_attempts(write(tmp_path, [*texts[:2], " ", *texts[2:], ""])) == LINES


@pytest.mark.parametrize(
    ("broken", "got"),
    [
        ("{", "JSON"),
        ("[]", "line 2"),
        ('{"prompt": "p"}', "attempts"),
        ('{"prompt": "p", "attempts": []}', "line 2"),
        ('{"prompt": "p", "attempts": [1]}', "line 2"),
        ('{"prompt": "p", "attempt": ["a"]}', "attempt"),
    ],
)
def test_a_broken_line_is_named(broken: str, got: str, tmp_path: Path) -> None:
    good = json.dumps({"prompt": "p", "attempts": ["a"]})
    error = str(refused(lambda: labelled_attempts(write(tmp_path, [good, broken]))))
    assert "file.jsonl, line 2" in error and got in error


def test_a_file_without_lines_and_one_that_is_missing_are_refused(tmp_path: Path) -> None:
    assert "file.jsonl" in str(refused(lambda: labelled_attempts(write(tmp_path, [""]))))
    assert "no.jsonl" in str(refused(lambda: labelled_attempts(tmp_path / "no.jsonl")))


def mending(asked: Sequence[Attempted]) -> list[float | None]:
    return [100.0 * ("Mend" in a.text) for a in asked]


def test_where_the_words_agree_with_the_labels_all_is_found() -> None:
    plain = [LabelledAttempts("a", ("Mend it. Mend it well.",))]
    found = labelled_agreement([*LINES, *plain], mending)
    assert found.recall == found.direction == wilson(5, 5)
    assert found.false_splits == wilson(0, 11)  # 5 first attempts, 5 last ones, a plain answer
    assert found.auroc is not None and found.auroc.estimate == 1
    assert (found.on_topic, found.off_topic, found.abstained) == (6, 5, 0)


def test_restarts_without_words_and_restarts_in_one_attempt_are_errors() -> None:
    silent = LabelledAttempts("a", (OFF, "Mend it."))
    split = LabelledAttempts("a", (f"{OFF} {RESTARTS[0]}Mend it.",))
    found = labelled_agreement([*LINES, silent, split], mending)
    assert found.recall == wilson(5, 6) and found.false_splits == wilson(1, 13)


def test_no_text_is_scored_by_its_own_line() -> None:
    asked = list[tuple[str, list[str]]]()

    def judge(known: References) -> AttemptScorer:
        def score(some: Sequence[Attempted]) -> list[float | None]:
            asked.extend((a.text[-2], [x[-2] for x in known[a.prompt]]) for a in some)
            return [0.0] * len(some)

        return score

    texts = [Attempted(x.prompt, a) for x in LINES for a in x.attempts]
    assert by_halves(LINES, judge)(texts) == [0.0] * len(texts)
    others = [("0", ["1"]), ("1", ["0", "3"]), ("3", ["1"]), ("2", ["4"]), ("4", ["2"])]
    assert sorted(asked) == sorted(others * 2)
    assert by_halves(LINES[1:3], judge)(texts[2:6]) == [None] * 4  # one line a prompt


@pytest.mark.shared_data
@pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
def test_a_models_own_self_corrections() -> None:
    """91 answers in two attempts and 38 plain ones, which nobody here wrote."""
    lines = labelled_attempts(SHARED / "self-correction-examples.jsonl")
    two, one = ([x for x in lines if (len(x.attempts) > 1) == several] for several in (True, False))
    assert (len(two), len(one)) == (91, 38)
    found = labelled_agreement(lines, by_halves(lines, reference_relevance))
    assert found.recall == wilson(91, 91) and found.false_splits == wilson(0, 91 + 91 + 38)
    assert not any(len(segment(x.attempts[0])) > 1 for x in lines)
    assert found.auroc is not None and found.auroc.estimate >= 0.97
    firsts = labelled_agreement(two, by_halves(lines, reference_relevance))
    assert firsts.on_topic == firsts.off_topic == 91  # corrections against first attempts
    assert firsts.auroc is not None and firsts.auroc.estimate >= 0.97
