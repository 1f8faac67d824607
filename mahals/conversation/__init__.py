"""What do agents say to each other, and what is an agent like after it?"""

from mahals.conversation.after import answers_after, capture_after, encode_after
from mahals.conversation.neutral import neutral_views, token_stream
from mahals.conversation.speaking import converse, replayed, together_with_itself
from mahals.conversation.talks import (
    Agent,
    Opening,
    Schedule,
    Stop,
    Talk,
    Turn,
    read_talks,
    write_talks,
)
from mahals.conversation.topology import TOPOLOGIES, Topology, hears
from mahals.conversation.views import View, choices_after, view

__all__ = [
    "TOPOLOGIES",
    "Agent",
    "Opening",
    "Schedule",
    "Stop",
    "Talk",
    "Topology",
    "Turn",
    "View",
    "answers_after",
    "capture_after",
    "choices_after",
    "converse",
    "encode_after",
    "hears",
    "neutral_views",
    "read_talks",
    "replayed",
    "together_with_itself",
    "token_stream",
    "view",
    "write_talks",
]
