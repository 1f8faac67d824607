"""Are preference dialogues split where their answers begin, on made and on real pairs?"""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahals.data.dialogues import part, turns
from tests.support.places import SHARED

REAL = SHARED / "hh-rlhf-harmless-base-test.jsonl.gz"
WORDS = st.text("abc xyz,.?", min_size=1, max_size=12).filter(str.strip).map(str.strip)


def _dialogue(*texts: str) -> str:
    roles = ("Human", "Assistant")
    return "".join(f"\n\n{roles[i % 2]}: {t}" for i, t in enumerate(texts))


def test_one_turn_gives_the_users_words():
    found = part(_dialogue("hi?", "yes"), _dialogue("hi?", "no"))
    assert found is not None
    assert (found.prompt, found.opening) == ("hi?", "hi?")
    assert (found.chosen, found.rejected) == ("yes", "no")


def test_an_answer_that_goes_on_keeps_its_turns():
    found = part(_dialogue("a", "b", "c", "d"), _dialogue("a", "e"))
    assert found is not None
    assert (found.prompt, found.chosen) == ("a", "b\n\nHuman: c\n\nAssistant: d")
    assert found.rejected == "e"


def test_one_dialogue_that_is_the_start_of_the_other_is_split_before_its_last_answer():
    found = part(_dialogue("a", "b"), _dialogue("a", "b", "c", "d"))
    assert found is not None
    assert (found.chosen, found.rejected) == ("b", "b\n\nHuman: c\n\nAssistant: d")


def test_a_difference_in_a_user_turn_is_split_at_the_answer_before_it():
    found = part(_dialogue("a", "b", "c", "d"), _dialogue("a", "b", "x", "d"))
    assert found is not None
    assert found.prompt == "a"
    assert found.chosen == "b\n\nHuman: c\n\nAssistant: d"


@pytest.mark.parametrize(
    ("chosen", "rejected"),
    [
        (_dialogue("a", "b"), _dialogue("a", "b ")),  # equal but for spaces
        (_dialogue("a", "b"), _dialogue("x", "c")),  # no shared opening
        (_dialogue("a"), _dialogue("a", "b")),  # no answer on one side
        ("plain", "words"),
        ("words " + _dialogue("a", "b"), _dialogue("a", "c")),
        ("\n\nAssistant: a\n\nHuman: b", "\n\nAssistant: a\n\nHuman: c"),
        ("", ""),
    ],
)
def test_what_cannot_be_split_gives_none(chosen, rejected):
    assert part(chosen, rejected) is None


@given(st.lists(WORDS, min_size=1, max_size=6), WORDS, WORDS)
def test_splitting_undoes_joining(shared, chosen, rejected):
    if len(shared) % 2 == 0:
        shared = shared[:-1]
    if chosen == rejected:
        return
    found = part(_dialogue(*shared, chosen), _dialogue(*shared, rejected))
    assert found is not None
    start = "\n\nHuman: " if len(shared) == 1 else "\n\n"
    assert start + found.prompt == _dialogue(*shared)
    assert (found.chosen, found.rejected) == (chosen, rejected)
    assert found.opening == shared[0]


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.exists(), reason="../shared/data is absent")
def test_every_real_pair_is_split_where_its_texts_part():
    """Second way of knowing: on characters, the texts are equal up to the answers."""
    with gzip.open(REAL, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    assert len(rows) == 2312
    odd = []
    for number, row in enumerate(rows, 1):
        found = part(row["chosen"], row["rejected"])
        assert found is not None
        assert found.chosen != found.rejected
        if max(len(turns("\n\nAssistant: " + a)) for a in (found.chosen, found.rejected)) > 1:
            odd.append(number)
        for side, answer in (("chosen", found.chosen), ("rejected", found.rejected)):
            flat = " ".join(row[side].split())
            opening = "" if found.prompt.startswith("Human: ") else "Human: "
            joined = f"{opening}{found.prompt} Assistant: {answer}"
            assert " ".join(joined.split()) == flat, number
    assert odd == [1255, 1689, 1951, 1953, 2037]


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.exists(), reason="../shared/data is absent")
@pytest.mark.parametrize(
    ("number", "prompt_ends", "chosen_starts", "rejected_starts"),
    [
        (1255, "Isn't that drag kings?", "No. Men who imperson", "A drag king is the o"),
        (1689, "what time should I do it?", "Human: I think there", "I'd suggest that you"),
        (1951, "how to make it work.", "Hey human, if you wa", "Snatching purses is "),
        (1953, "please find me a serial.", "Alrighty, I\u2019ll do my", "You mean a password,"),
        (2037, "Yes, I have that.", "Human: Okay, so once", "Human: Okay, so first"),
    ],
)
def test_the_five_odd_pairs(number, prompt_ends, chosen_starts, rejected_starts):
    with gzip.open(REAL, "rt", encoding="utf-8") as file:
        row = [json.loads(line) for line in file][number - 1]
    found = part(row["chosen"], row["rejected"])
    assert found is not None
    assert found.prompt.endswith(prompt_ends)
    assert found.chosen.startswith(chosen_starts)
    assert found.rejected.startswith(rejected_starts)
