"""What does an agent see of a talk, and what follows it?"""

import pytest

from mahals.models.conversation.converse import converse
from mahals.models.conversation.talks import TalkSchedule
from mahals.models.conversation.views import View, choices_after, view
from mahals.records import InputError
from tests.support.tiny_models import tokenizer
from tests.support.tiny_talks import agents, openings


def test_all_to_all_names_the_speakers() -> None:
    three = agents("Llama", "Qwen2", "Phi3")
    talk = converse(three, openings(1, 3), TalkSchedule("all_to_all", 2, 2, 0))[0]
    words = view(talk, 2, rounds=1).turns[0][1]
    for turn in talk.turns[:2]:
        assert not turn.text or f"{turn.agent}: {turn.text}" in words


def test_choices_follow_what_was_heard() -> None:
    seen = View((("user", "where is the cat"),))
    texts = choices_after(tokenizer(), seen, ["on the mat", "by the river"])
    assert [tokenizer().decode(t.ids[t.start : t.stop]) for t in texts] == [
        "on the mat",
        "by the river",
    ]
    with pytest.raises(InputError, match="own words last"):
        choices_after(tokenizer(), View((("user", "a"), ("assistant", "b"))), ["c"])
