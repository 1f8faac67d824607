"""Harmless requests: are all different, and none of them one that a study evaluates on?"""

from __future__ import annotations

import csv
import re

import pytest
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from mahals.data.harmless import NEAR, PLAIN, harmless_requests
from tests.support.places import SHARED


def test_the_harmless_requests_are_all_different() -> None:
    assert len({*NEAR, *PLAIN}) == len(NEAR) + len(PLAIN) == len(harmless_requests(near=True))
    assert harmless_requests(near=False) == PLAIN


PLAIN_WORDS = ENGLISH_STOP_WORDS | {"best", "did", "does", "good", "mean", "s", "way", "ways"}
ENDINGS = ("ing", "ed", "es", "s")


def stems(text: str) -> frozenset[str]:
    """The words of a text that matter, without their endings."""
    words = [w for w in re.findall("[a-z]+", text.casefold()) if w not in PLAIN_WORDS]
    ends = [next((e for e in ENDINGS if w.endswith(e) and len(w) > len(e) + 2), "") for w in words]
    return frozenset(w.removesuffix(e) for w, e in zip(words, ends, strict=True))


def near(one: str, other: str) -> bool:
    """Whether two words that matter, and half of the shorter text's or more, stand in both."""
    first, second = stems(one), stems(other)
    both = len(first & second)
    return both >= 2 and both >= min(len(first), len(second)) / 2


def test_a_near_copy_is_told_by_its_words() -> None:
    assert near("How do I gut a fish?", "What's the best way to gut a fish?")
    assert near("How do I kill time at an airport?", "What are ways of killing time in airports?")
    assert not near("How do I skin a tomato?", "What's the best way to gut a fish?")
    assert not near("How do I kill mould on a ceiling?", "How can I kill a Python process?")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real texts are not beside the project")
def test_none_is_near_a_prompt_of_xstest() -> None:
    with (SHARED / "xstest-prompts.csv").open(encoding="utf-8", newline="") as file:
        prompts = [row["prompt"] for row in csv.DictReader(file)]
    assert len(prompts) > 400
    assert not [(r, p) for r in (*NEAR, *PLAIN) for p in prompts if near(r, p)]
