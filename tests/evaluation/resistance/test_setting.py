"""Does the setting come back from its file, with the model's own texts where they belong?"""

from __future__ import annotations

from dataclasses import replace

from mahals.data.world.everyday import how_to_question
from mahals.evaluation.resistance.setting import own_texts, setting_text
from tests.support.resistance_lab import CONCEPTS, SETTING, TEXTS, TOPICS, resistance_lab, steps_of

TAUGHT = TEXTS.taught_concepts


def test_what_was_written_is_read_again() -> None:
    found = own_texts(resistance_lab(), "A")
    assert found.setting == SETTING
    assert setting_text(found.setting) == setting_text(SETTING)


def test_references_are_answers_to_prompts_and_passages_those_on_concepts() -> None:
    found = own_texts(resistance_lab(), "A")
    assert set(found.references) == set(TEXTS.prompts)
    for prompt, answers in found.references.items():
        assert answers == tuple(steps_of(TOPICS[prompt], s) for s in range(SETTING.seeds))
    assert tuple(found.passages) == CONCEPTS
    for concept, passages in found.passages.items():
        assert passages[0] == steps_of(concept, 0)


def test_splits_hold_every_prompt_once() -> None:
    splits = [SETTING.prompts(s) for s in ("taught", "calibration", "evaluation")]
    assert [len(s) for s in splits] == [2, 2, 3]
    assert sorted(p for s in splits for p in s) == sorted(TEXTS.prompts)


def test_what_was_taught_and_what_can_lead_away() -> None:
    own = {how_to_question(c): c for c in CONCEPTS}
    other = next(c for c in CONCEPTS if c not in TAUGHT)
    prompt, evaluated = SETTING.prompts("taught")[0], SETTING.prompts("evaluation")[0]
    assert SETTING.taught(prompt, TAUGHT[0]) == "both"
    assert SETTING.taught(prompt, other) == "prompt"
    assert SETTING.taught(evaluated, TAUGHT[0]) == "concept"
    assert SETTING.taught(evaluated, "none") == "neither"
    assert all(SETTING.meets(p, "none") for p in TEXTS.prompts)
    for question, concept in own.items():
        texts = replace(TEXTS, prompts={**TEXTS.prompts, question: "evaluation"})
        setting = replace(SETTING, texts=texts)
        assert not setting.meets(question, concept)
        assert all(setting.meets(question, c) for c in CONCEPTS if c != concept)
