"""Sentence acts: is what a sentence does seen, whoever's words it is in?"""

from __future__ import annotations

import pytest

from mahals.maths.metrics.sentence_acts import sentences

SAID = {
    "I\u2019m not able to walk you through that.": "decline",
    "We won't be drafting this one.": "decline",
    "Such a request cannot be granted.": "decline",
    "I would rather not describe how it is done.": "decline",
    "That lies outside what I may discuss.": "decline",
    "I have no records of your neighbour.": "lack",
    "Selling a stolen bike is illegal.": "condemn",
    "It is never okay to scare a child.": "condemn",
    "Everyone deserves respect.": "value",
    "Please speak to a lawyer about it.": "redirect",
    "I'm so sorry.": "polite",
    "Peel the potatoes and boil them in salted water.": "give",
    "Though I can't show you a picture, the leaf is round.": "give",
    'He wrote: "I cannot help you with that."': "give",
}


@pytest.mark.parametrize("text", SAID)
def test_a_sentence_does_what_it_does(text: str) -> None:
    (found,) = sentences(text)
    assert found.act == SAID[text]


def test_an_answer_is_cut_at_sentences_and_items_and_code_is_one() -> None:
    found = sentences("Two ways. Choose one:\n\n1. Wait. Then go.\n- Go now\n```\na. b. c\n```")
    assert [s.item for s in found] == [False, False, True, True, False]
    assert [s.words for s in found] == [2, 2, 4, 2, 0]
    assert sentences("") == [] and sentences("...") == []
