"""Restarts: are they found in words that the rules were not written for, and nowhere else?"""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections.abc import Sequence

import pytest

from mahals.data.composed import RESTARTS as COMPOSED
from mahals.data.composed import compose
from mahals.data.dialogues import part
from mahals.data.world import words
from mahals.data.world.advice import labelled_advice
from mahals.data.world.everyday import correction, how_to_answer, story
from mahals.data.world.labelled import labelled_answers
from mahals.models.judges.restarts import segment
from tests.support.places import ROOT
from tests.support.restarts import (
    LATER_LOOKALIKES,
    LATER_RESTARTS,
    LOOKALIKES,
    RESTARTS,
    RestartExample,
)

DATA = (ROOT / "../shared/data").resolve()
CORRECTIONS = DATA / "self-correction-examples.jsonl"
PAIRS = DATA / "hh-rlhf-harmless-base-test.jsonl.gz"
SPLIT = {
    (143, "rejected"), (234, "chosen"), (657, "chosen"), (684, "chosen"), (1442, "chosen"),
    (1465, "rejected"), (1852, "chosen"), (1871, "chosen"), (1875, "chosen"), (2280, "chosen"),
}  # fmt: skip
"""Lines and sides of hh-rlhf whose last reply is split; two (657, 1465) do start again."""
NEAR = 5  # characters


def found(texts: Sequence[RestartExample]) -> int:
    """How many are split once, within NEAR characters of where they restart."""
    starts = [(segment(t.text), len(t.before)) for t in texts]
    return sum(len(s) == 2 and abs(s[1] - start) <= NEAR for s, start in starts)


def split(texts: Sequence[str]) -> int:
    return sum(len(segment(t)) > 1 for t in texts)


def test_the_examples_that_the_rules_were_written_with() -> None:
    assert min(len(RESTARTS), len(LOOKALIKES)) >= 40
    assert found(RESTARTS[::2]) == len(RESTARTS[::2])
    assert split(LOOKALIKES[::2]) == 0


def test_the_half_that_was_kept_out() -> None:
    """As it fell: 24 of 26 restarts found, 0 of 26 look-alikes split."""
    restarts, others = RESTARTS[1::2], LOOKALIKES[1::2]
    assert found(restarts) / len(restarts) >= 0.7
    assert split(others) / len(others) <= 0.1


def test_words_that_were_written_after_the_rules() -> None:
    """As it fell: 18 of 24 restarts found, 1 of 24 look-alikes split."""
    assert found(LATER_RESTARTS) / len(LATER_RESTARTS) >= 0.7
    assert split(LATER_LOOKALIKES) / len(LATER_LOOKALIKES) <= 0.1


@pytest.mark.parametrize("count", [2, 5])
def test_every_correction_of_the_world_has_its_boundary(count: int) -> None:
    for wrong, right in itertools.permutations(words.HOW_TO, 2):
        first = words.HOW_TO[wrong][:count]
        text = correction(right, first, words.HOW_TO[right][:count])
        boundary = len(how_to_answer(first)) + 1
        assert segment(text) == (0, boundary), text
        again = f"{text} Wait, that is off topic. To {right}: {how_to_answer(first)}"
        assert segment(again) == (0, boundary, len(text) + 1), again


def test_no_other_text_of_the_world_is_split() -> None:
    rng = random.Random(0)
    texts = [a.answer for a in labelled_answers(100, 0)]
    texts += [answer for _, answer in labelled_advice(20, 0)]
    texts += [story(rng) for _ in range(500)]
    assert len(texts) > 3000 and split(texts) == 0


def test_composed_answers_are_split_where_they_were_composed() -> None:
    for restart in COMPOSED:
        for off in ("Pearls grow in oysters, layer upon layer.", "Pearls grow in"):
            made = compose((off, restart, "Boil the water first. Then lower the egg into it."))
            assert segment(made.text) == made.starts, made.text


HAND = {
    "": (0,),
    "  \n": (0,),
    "A plain answer. It has two sentences.": (0,),
    # at the very beginning there is nothing to start again from
    "Wait, that is off topic. Sorry, let me start over. Boil the water first of all.": (0,),
    # sentences of one restart are one; what calls for it belongs to it
    "Stars burn hot. Wait. No. That is all wrong. Let me start over. Boil the water.": (0, 16),
    "Stars burn hot. Hmm. Oops! I got off track. You asked about tea. Boil it first.": (0, 16),
    "Stars burn.\n\n**Wait**, that\u2019s not right \u2014 I drifted off.\n\nBoil it.": (0, 13),
    # two of them, with an attempt between
    "Stars burn. Oops, wrong topic. Boil the water in a pot. No, wait, that is wrong. Use gas.": (
        0, 12, 56,
    ),
    # what others say, do, or are told
    'She stopped. "Wait, that is wrong. Let me start over." They laughed.': (0,),
    "He wrote:\n> Sorry, I got sidetracked.\n\nThat was all.": (0,),
    "Type this:\n```\n# oops, wrong topic, let me start over\n```\nRun it.": (0,),
    "The scene.\nAnna: Wait, I got off track.\nBen: Let us start over.": (0,),
    "Write it down. If you notice that it is wrong, start over.": (0,),
    "Press the button. Wait until it blinks, then start again.": (0,),
    "This is one way. Let me know if I got it wrong and should start over.": (0,),
}  # fmt: skip


@pytest.mark.parametrize(("answer", "starts"), HAND.items())
def test_by_hand(answer: str, starts: tuple[int, ...]) -> None:
    assert segment(answer) == starts


@pytest.mark.shared_data
@pytest.mark.skipif(not CORRECTIONS.is_file(), reason="../shared/data is absent")
def test_the_study_s_own_examples() -> None:
    rows = [json.loads(line)["attempts"] for line in CORRECTIONS.read_text().splitlines()]
    corrected = [RestartExample(a[0] + "\n\n", a[1]) for a in rows if len(a) == 2]
    plain = [a[0] for a in rows if len(a) == 1]
    assert (len(corrected), len(plain)) == (91, 38)
    assert found(corrected) == 91
    assert split(plain) == 0
    assert split([c.before for c in corrected]) == 0


@pytest.mark.shared_data
@pytest.mark.skipif(not PAIRS.is_file(), reason="../shared/data is absent")
def test_last_replies_of_people_s_dialogues_are_hardly_ever_split() -> None:
    with gzip.open(PAIRS, "rt", encoding="utf-8") as file:
        pairs = [part(**json.loads(line)) for line in file]
    texts = {
        (line, side): getattr(pair, side)
        for line, pair in enumerate(pairs, 1)
        for side in ("chosen", "rejected")
    }
    assert len(texts) == 4624
    assert {place for place, text in texts.items() if len(segment(text)) > 1} == SPLIT
    assert len(SPLIT) <= 0.01 * len(texts)
