"""Bench: are prompts, texts and questions those of their split, as each is asked for?"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from mahals.data.texts import AXIOMS
from mahals.evaluation.bench import bench, first_per_cell, instructed
from mahals.evaluation.scores import behaviour
from mahals.models.activations.encoding import encode_prompts
from mahals.models.steering.interventions import Arm
from tests.support.tiny_lab import SUITE, TinyLab, prompts, refused


def test_answers_are_by_cell(at: Any) -> None:
    chosen = [at.prompts[i] for i in at.answered]
    assert [(p.axiom, p.label) for p in chosen] == [(a, v) for a in AXIOMS for v in (1, 0)]
    assert [len(b.refused) for b in behaviour(at, [Arm("unsteered", ())])] == [14]


def lab_with(split: str, label: int | None) -> TinyLab:
    """A lab whose split has prompts of one label alone; None: no prompts."""

    class Lacking(TinyLab):
        def prompts(self, name: str) -> Any:
            return tuple(p for p in prompts(name) if name != split or p.label == label)

    return Lacking()


@pytest.mark.parametrize(
    ("split", "label", "words"),
    [
        ("evaluation", 1, " 0 unsafe prompts in evaluation"),
        ("evaluation", 0, " 0 safe and "),
        ("evaluation", None, "no prompts in evaluation"),
        ("selection", 0, "without them a refusal means nothing"),
        ("selection", None, "the selection split"),
    ],
)
def test_prompts_of_one_label_or_none_are_refused(split: str, label: Any, words: str) -> None:
    """Doses are found on safe prompts of the selection split."""
    lab = lab_with(split, label)
    said = str(refused(lambda: bench(lab, "A", "base", SUITE, "evaluation")))
    assert words in said and "\n" not in said


def test_an_instruction_comes_before_prompts_and_questions_and_is_not_read(at: Any) -> None:
    told = instructed(at, "be kind")
    for before, after in zip(
        (*at.encoded, *at.questions), (*told.encoded, *told.questions), strict=True
    ):
        assert len(after.ids) > len(before.ids)
        own = before.ids[before.start : before.stop]
        assert after.ids[after.start : after.stop] == own
    same = ("neutral", "chat", "calibration", "answered")
    assert all(getattr(told, name) == getattr(at, name) for name in same)


def test_doses_are_found_on_other_texts_than_they_are_reported_on(at: Any) -> None:
    for mine, reported in ((at.calibration.neutral, at.neutral), (at.calibration.chat, at.chat)):
        assert not {e.ids for e in mine} & {e.ids for e in reported}
        assert len(mine) == len(reported) == SUITE.neutral
    assert at.calibration.sets == (at.calibration.neutral, at.calibration.chat)


def test_chat_texts_are_safe_prompts_of_every_axiom_in_chat_form() -> None:
    for count, axioms in ((4, 4), (7, 7), (500, 7)):
        suite = replace(SUITE, neutral=count)
        found = bench(TinyLab(), "A", "base", suite, "evaluation")
        safe = [p for p in found.prompts if p.label == 1]
        asked = encode_prompts(found.loaded.tokenizer, [p.text for p in safe])
        places = [asked.index(e) for e in found.chat]
        assert len(places) == len(set(places)) == min(count, len(safe))
        assert len({safe[i].axiom for i in places}) == axioms, "spread over all of them"


def test_a_readout_that_is_not_set_for_these_weights_is_refused(at: Any) -> None:
    other = replace(at, suite=replace(SUITE, readout={"hub": "last"}))
    assert "one for weights=organism" in str(refused(lambda: other.readout))
    assert at.readout == "mean"


def test_a_short_cell_gives_as_many_of_either_label_as_it_has() -> None:
    rows = [p for p in prompts("evaluation") if (p.axiom, p.label) != (AXIOMS[0], 0)]
    rows += [p for p in prompts("evaluation") if (p.axiom, p.label) == (AXIOMS[0], 0)][:2]
    found = [rows[i] for i in first_per_cell(rows, 3)]
    counts = Counter((p.axiom, p.label) for p in found)
    assert counts[AXIOMS[0], 0] == counts[AXIOMS[0], 1] == 2
    assert {n for (axiom, _), n in counts.items() if axiom != AXIOMS[0]} == {3}


def test_a_category_with_too_few_of_a_label_is_absent_and_the_others_are_measured() -> None:
    class Lacking(TinyLab):
        def prompts(self, name: str) -> Any:
            cell = [p for p in prompts(name) if (p.axiom, p.label) == (AXIOMS[2], 0)]
            return tuple(p for p in prompts(name) if p not in cell[1:])

    found = bench(Lacking(), "A", "base", SUITE, "evaluation")
    assert found.categories == (*AXIOMS[:2], *AXIOMS[3:])
    (why,) = found.absent
    assert AXIOMS[2] in why and "1 unsafe" in why and "2 are needed" in why
    assert AXIOMS[2] not in found.axioms and len(found.encoded) == len(found.prompts)
