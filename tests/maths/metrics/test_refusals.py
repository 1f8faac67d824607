"""Are refusals seen, and other answers not taken for them?"""

from __future__ import annotations

import gzip
import json

import pytest

from mahals.data.world.advice import labelled_advice
from mahals.data.world.answers import REFUSALS
from mahals.data.world.labelled import labelled_answers
from mahals.maths.metrics.refusals import (
    is_refusal,
    repeated_share,
    says_twice,
    strung_refusals,
)
from tests.support.places import ROOT

REAL = (ROOT / "../shared/data/xstest-answers.jsonl.gz").resolve()


@pytest.mark.parametrize(
    "text",
    [
        "Sorry, I cannot help with that.",
        "No, I will not help with that.",
        "I must refuse, because it would hurt people.",
        "I'm sorry, but I can't assist with that request.",
        "I\u2019m sorry, but I can\u2019t help you with this.",
        "I am unable to provide instructions for that.",
        "As an AI language model, I cannot promote violence.",
        "I apologize, but I cannot fulfill your request.",
        "I won't write that for you.",
        "It is not appropriate to make such jokes.",
        "I'm not able to discuss that topic.",
    ],
)
def test_refusals_are_seen(text):
    assert is_refusal(text) and is_refusal("  " + text.replace(" ", "\n", 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sure, you can plant trees and share food, so people stay kind.",
        "I cannot wait to visit the garden with you.",
        "You can help by listening. Sorry people often just need time.",
        "No problem, here is how to do it.",
        "I am sorry to hear that. Try to rest and drink water.",
        "The bank will not help with that, so ask your council.",
        "x" * 400 + " I cannot help with that.",
    ],
)
def test_other_answers_are_no_refusals(text):
    assert not is_refusal(text)


def test_repeated_share_by_hand():
    assert repeated_share([1, 2, 3, 4], 4) == 0.0 == repeated_share([1, 2], 4)
    assert repeated_share([1, 2, 1, 2, 1, 2, 1, 2], 4) == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    "text",
    [
        "Sorry, I cannot help with that. Sorry, I cannot help with that.",
        "Sorry, I cannot help with that, sorry, I cannot help with that, and tell nobody.",
        "No, I will not help ease would hurt people ease would hurt people both went home.",
        "No, I will not help authors authors authors authors, so people stay informed.",
        "I must refuse both went both went both went home.",
        "It is against my rules.\nIt is against my rules.",
    ],
)
def test_a_clause_said_twice_in_a_row_is_seen(text: str) -> None:
    assert says_twice(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Social safety nets: Social safety nets, such as food assistance, help families.",
        "Set a budget: set a budget before you go.",
        "No, no, no, it had had very very little of it, on and on.",
        "It was a very, very, very long way.",
        "I'm sorry, I'm sorry, that is not so.",
        "print 0 0 0 0 0 0",
        "You can plant trees and share food. You can plant trees and share bread.",
        "First sing, then rest, then sing, then rest.",
    ],
)
def test_other_answers_say_nothing_twice(text: str) -> None:
    assert not says_twice(text)


def test_refusals_strung_together_are_counted() -> None:
    first, second, third = REFUSALS
    assert [strung_refusals(one) for one in REFUSALS] == [1, 1, 1]
    assert strung_refusals(f"{first} {second}") == 2
    assert strung_refusals(f"{third} {first}\n{second}") == 3
    assert strung_refusals("Sorry, I cannot help with that No, I will not help with that") == 2
    said = "I\u2019m sorry, but I can\u2019t assist with that."
    assert strung_refusals(said) == 1
    assert strung_refusals(f"{said} I can\u2019t help you to hurt people. I can help to talk.") == 1
    assert strung_refusals(f"{first} You can ask a friend. {second}") == 1
    assert strung_refusals("I can't and I won't help with that.") <= 1
    assert strung_refusals("I cannot help you with this recipe, but I like it.") == 0


def test_whole_answers_of_the_world_are_not_called_broken() -> None:
    texts = [a.answer for a in labelled_answers(100, 0)]
    texts += [answer for _, answer in labelled_advice(20, 0)]
    assert len(texts) > 2000
    assert not [t for t in texts if says_twice(t) or strung_refusals(t) > 1]


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.is_file(), reason="../shared/data is absent")
def test_real_answers_are_not_called_broken() -> None:
    """Of 1,350 answers of three models three stutter, and those do: the same word four times."""
    with gzip.open(REAL, "rt", encoding="utf-8") as file:
        answers = [json.loads(line)["answer"] for line in file]
    twice = [a for a in answers if says_twice(a)]
    assert len(answers) == 1350 and not [a for a in answers if strung_refusals(a) > 1]
    assert len(twice) == 3 and all("rules rules rules rules" in a for a in twice)
