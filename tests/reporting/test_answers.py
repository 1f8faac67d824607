"""Answers report: has each row its own answers, and is a broken answer always the failure?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mahals.records import InputError
from mahals.reporting.answers import ArmAnswers, KeptAnswer, answers_of, read_answers
from mahals.reporting.answers import at_dose as arms_at
from tests.support.arm_rows import arm_row, at_dose
from tests.support.kept_answers import answer, answered_rows, lines_of


def kept_at(folder: Path, answers: list[KeptAnswer]) -> Any:
    path = folder / "kept.answers.jsonl"
    path.write_text(lines_of(answers), encoding="utf-8")
    return SimpleNamespace(path=lambda reference: path)


def test_each_row_has_its_own_answers(tmp_path: Path) -> None:
    rows, answers = answered_rows()
    kept = kept_at(tmp_path, answers)
    found = list(answers_of([*rows, replace(rows[0], answers=None), object()], kept))
    assert [f.row for f in found] == rows
    for one in found:
        assert {a.arm for a in one.answers} == {one.row.arm}
        assert {a.draw for a in one.answers} == {one.row.draw}
        assert [a.prompt for a in one.answers] == [0, 3, 5, 9]
        assert one.to(5).prompt == 5
    assert sum(len(f.answers) for f in found) == len(answers)


def test_answers_of_other_arms_are_refused(tmp_path: Path) -> None:
    rows, answers = answered_rows()
    kept = kept_at(tmp_path, answers)
    for wrong in ({"evidence_row": 0}, {"draw": 7}, {"dose": 0.3}, {"evidence_row": 99}):
        with pytest.raises(InputError, match=r"dvc pull"):
            list(answers_of([replace(rows[-1], **wrong)], kept))


def test_without_a_dose_the_arms_are_those_that_the_board_shows() -> None:
    """At the dose chosen on the selection split; the headline dose where none was tried there."""

    def arm(kind: str, dose: float | None, **changes: Any) -> ArmAnswers:
        row = at_dose(arm_row(kind, 0), dose, **changes) if dose else arm_row(kind, 0)
        return ArmAnswers(row, ())

    low = arm("steered", 0.1, selection_gap=0.2, selection_over=())
    high = arm("steered", 0.2, selection_gap=0.6, selection_over=())
    over = arm("steered", 0.4, selection_gap=0.9, selection_over=("perplexity_ratio",))
    null = arm("random", 0.2)
    plain = ArmAnswers(replace(arm_row("unsteered", 0), dose=None, dose_kind=None), ())
    assert arms_at([plain, low, high, over, null], None) == [plain, high, null]
    untried = [
        replace(a, row=replace(a.row, selection_gap=None, selection_over=None))
        for a in (low, high, over)
    ]
    assert arms_at([plain, *untried, null], None) == [plain, untried[0]]
    assert arms_at([plain, low, high, over], "0.1") == [plain, low]
    grid = ArmAnswers(replace(null.row, dose_kind="lambda", dose=1.0), ())
    assert arms_at([plain, grid], None) == [plain, grid], "no arm has a headline dose"


def test_a_line_that_is_no_answer_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "x.answers.jsonl"
    good = lines_of([answer("unsteered", 0)])
    path.write_text(good + "{", encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.answers\.jsonl:2"):
        read_answers(path)
    bad = json.loads(good) | {"truth": "yes"}
    path.write_text(json.dumps(bad), encoding="utf-8")
    with pytest.raises(InputError, match=r"x\.answers\.jsonl:1\.truth"):
        read_answers(path)


def test_a_broken_answer_is_the_failure_on_both_sides() -> None:
    unsafe = answer("steered", 0, label=0, lexical=True, truth=False)
    assert unsafe.known is False and replace(unsafe, truth=None).known is True
    assert unsafe.counted(True) is True and unsafe.counted(False) is False
    broken = replace(unsafe, degenerate=True)
    assert broken.counted(True) is False
    assert replace(broken, label=1).counted(False) is True
