"""Are digits weighed, and is little mass an abstention?"""

from __future__ import annotations

import pytest

from mahals.models.judges.rubric import score_of_reply, weighted


def test_digits_are_weighed_and_little_mass_is_an_abstention() -> None:
    assert weighted({"9": 0.5, " 0": 0.5}) == pytest.approx(50)
    assert weighted({"9": 0.3, "X": 0.7}) == pytest.approx(100)
    assert weighted({"9": 0.2, "X": 0.8}) is None
    assert weighted({}) is None
    replies = [score_of_reply(text) for text in ("7", " 9. ", "42", "X", "")]
    assert replies == [pytest.approx(700 / 9), 100, None, None, None]
