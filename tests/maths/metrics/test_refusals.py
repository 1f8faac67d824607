"""Are refusals seen, and other answers not taken for them?"""

import pytest

from mahals.maths.metrics.refusals import is_refusal, repeated_share


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
