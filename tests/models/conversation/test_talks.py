"""Do transcripts come back from text?"""

import pytest

from mahals.models.conversation.converse import converse
from mahals.models.conversation.talks import read_talks, write_talks
from mahals.records import InputError
from tests.support.tiny_talks import PAIR, agents, openings


def test_transcripts_come_back() -> None:
    talks = converse(agents("Llama", "Phi3"), openings(2), PAIR)
    assert read_talks(write_talks(talks)) == talks
    with pytest.raises(InputError, match="line 2"):
        read_talks(write_talks(talks[:1]) + "not json\n")
