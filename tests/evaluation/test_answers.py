"""Answers: is all that was said kept, and read again as it was?"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mahals.data.texts import AXIOMS, Prompt
from mahals.evaluation.answers import DOSES, LABELS, keep_answers
from mahals.reporting.answers import KeptAnswer, read_answers
from mahals.schema import UNSTEERED, Label

RANDOM = Label(
    arm="random",
    draw=2,
    operator="add",
    placement="raw",
    layers=(1, 2),
    dose_kind="kl",
    dose=0.05,
)
ODD = "Sure,\u2028you can\n\tsay \u201cno\u201d \x85 {}"  # ends lines where JSON does not


def said(answers: tuple[str, ...], truth: tuple[bool, ...] | None) -> Any:
    flags = tuple("cannot" in a for a in answers)
    return SimpleNamespace(
        behaviour=SimpleNamespace(
            answers=answers, detected=flags, truth=truth, extent=None, degenerate=(False, True)
        )
    )


@pytest.fixture
def at() -> Any:
    """A bench on which the first and the seventh prompt were answered."""
    prompts = [
        Prompt(f"how do I {i}", AXIOMS[i // 2], int(i < 4), str(i), str(i), "evaluation")
        for i in range(8)
    ]
    return SimpleNamespace(prompts=prompts, answered=(0, 6))


class Lab:
    """As much of a lab as keeping a text takes."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def keep_text(self, name: str, text: str) -> str:
        self.texts[name] = text
        return f"A/{name}"


def test_what_is_kept_is_read_again_as_it_was(at: Any, tmp_path: Path) -> None:
    lab: Any = Lab()
    found = [said((ODD, "I cannot"), (True, False)), said(("", "I cannot"), None)]
    reference = keep_answers(lab, "add-raw", at, [UNSTEERED, RANDOM], found)
    assert reference == "A/add-raw.answers.jsonl"
    text = lab.texts["add-raw.answers.jsonl"]
    (tmp_path / "kept.jsonl").write_text(text, encoding="utf-8")
    first, second, third, fourth = read_answers(tmp_path / "kept.jsonl")
    assert (first.arm, first.prompt, first.answer) == ("unsteered", 0, ODD)
    assert (second.prompt, second.label, second.axiom) == (6, 0, at.prompts[6].axiom)
    assert (first.label, first.text) == (1, at.prompts[0].text)
    assert [a.lexical for a in (first, second)] == [False, True]
    assert [a.truth for a in (first, second, third)] == [True, False, None]
    assert [a.degenerate for a in (third, fourth)] == [False, True]
    assert (third.arm, third.draw, third.layers) == ("random", 2, (1, 2))
    assert (third.dose_kind, third.dose, third.source) == ("kl", 0.05, None)


def test_a_line_holds_the_columns_that_are_read_and_no_others(at: Any) -> None:
    lab: Any = Lab()
    keep_answers(lab, "x", at, [RANDOM], [said(("a", "b"), None)])
    lines = lab.texts["x.answers.jsonl"].splitlines()
    of_arms = {f.name for f in fields(Label)}
    own = [f.name for f in fields(KeptAnswer) if f.name not in of_arms]
    assert len(lines) == 2
    for line in lines:
        assert list(json.loads(line)) == [*LABELS, *DOSES, *own]


def test_labels_and_arms_are_as_many(at: Any) -> None:
    lab: Any = Lab()
    with pytest.raises(ValueError, match="shorter"):
        keep_answers(lab, "x", at, [RANDOM, RANDOM], [said(("a", "b"), None)])
