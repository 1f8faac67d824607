"""Readouts: is every readout named in words, and the other one known?"""

from __future__ import annotations

from typing import get_args

from mahals.reporting.readouts import WORDS, aqi_words, both
from mahals.schema import Pool, Readout


def test_every_pool_has_words_of_its_own() -> None:
    assert set(WORDS) == set(get_args(Pool))
    assert len(set(WORDS.values())) == len(WORDS)
    assert aqi_words("last") == "aqi, last token (points)"
    assert aqi_words("mean", "change in points") == "aqi, mean of the prompt (change in points)"


def test_the_headline_comes_first_and_both_are_there() -> None:
    for headline in get_args(Readout):
        found = both(headline)
        assert found[0] == headline and set(found) == set(get_args(Readout))
