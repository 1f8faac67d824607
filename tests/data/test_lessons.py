"""Is what teaches self-correction what it should be?"""

from __future__ import annotations

from itertools import islice

import pytest

from mahals.data.how_to import HowToCounts
from mahals.evaluation.resistance.setting import OwnTexts
from mahals.records import InputError
from tests.support.lessons import MANY, lessons, own


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 0), (0.1, 3), (0.3, 9), (0.5, 15), (0.9, 27)]
)
def test_a_share_is_exact_and_a_smaller_one_is_the_beginning(share: float, expected: int) -> None:
    found = lessons(MANY, 30, share, sham=False)
    whole = lessons(MANY, 30, 1.0, sham=False)
    assert len(found) == 30 and sum(one.concept is not None for one in found) == expected
    assert found[:expected] == whole[:expected]
    assert all(one.wrong == "" and one.concept is None for one in found[expected:])


def test_lessons_are_of_taught_prompts_and_concepts_that_are_not_their_own() -> None:
    found = lessons(MANY, 60, 0.8, sham=False)
    texts = MANY.setting.texts
    assert {one.prompt for one in found} == set(MANY.setting.prompts("taught"))
    pairs = [(one.prompt, one.concept) for one in found if one.concept]
    assert {c for _, c in pairs} == set(texts.taught_concepts)
    assert all(texts.concepts[c] != p for p, c in pairs)
    distinct = len(set(pairs))
    assert len(set(pairs[:distinct])) == distinct, "all pairs come before one comes again"
    for one in found:
        assert one.right in MANY.answers[one.prompt]
        assert one.concept is None or one.wrong in MANY.passages[one.concept]
    assert len(set(found)) > distinct, "a pair that comes again has other texts"


def test_a_sham_comes_back_to_a_third_topic() -> None:
    real, sham = lessons(MANY, 40, 0.5, sham=False), lessons(MANY, 40, 0.5, sham=True)
    assert real[20:] == sham[20:]
    prompts = MANY.setting.prompts("taught")
    assert {MANY.setting.texts.own_concept(p) for p in prompts} & set(
        MANY.setting.texts.taught_concepts
    ), "one is the topic of a taught prompt"
    for a, b in islice(zip(real, sham, strict=True), 20):
        assert (a.prompt, a.concept, a.wrong) == (b.prompt, b.concept, b.wrong)
        (topic,) = [c for c, texts in MANY.passages.items() if b.right in texts]
        assert topic in MANY.setting.texts.taught_concepts
        assert topic not in (b.concept, MANY.setting.texts.own_concept(b.prompt))


def test_too_few_texts_are_named_with_their_cure() -> None:
    few = own(HowToCounts(taught=4, calibration=1, evaluation=1, concepts=2))
    blank = OwnTexts(MANY.setting, {q: (" ", "\n") for q in MANY.answers})
    untaught = own(HowToCounts(taught=0, calibration=1, evaluation=1, concepts=4))
    cases: list[tuple[OwnTexts, float, bool, str]] = [
        (few, 1.0, True, "a third concept"),
        (blank, 0.0, False, "not blank"),
        (untaught, 0.0, False, "a taught prompt"),
    ]
    for texts, share, sham, expected in cases:
        with pytest.raises(InputError, match=expected) as error:
            lessons(texts, 12, share, sham=sham)
        assert "esr_unsteered" in str(error.value)
