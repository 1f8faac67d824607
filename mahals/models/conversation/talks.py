"""Talks: who talks about what, for how long, and what was said?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.conversation.topology import Topology
from mahals.models.steering.interventions import Arm
from mahals.records import InputError, canonical, from_plain

Stop = Literal["length", "loop", "context"]
"""Why a conversation ended. `length`: all its rounds were held; `loop`: whole rounds were said
again, word for word; `context`: the next turn and its answer would exceed a speaker's context."""


@dataclass(frozen=True, eq=False)
class Agent:
    """A model that talks, with its own chat template and its own steering."""

    name: str  # unique among the agents of a conversation
    loaded: Loaded
    arm: Arm  # Arm("unsteered", ()) for none


@dataclass(frozen=True)
class Opening:
    """What each agent is told, privately, before anything is said."""

    key: str  # unique among the conversations
    texts: tuple[str, ...]  # one an agent, in their order; none is empty


@dataclass(frozen=True)
class TalkSchedule:
    """How a conversation goes: in each round every agent speaks once, in order."""

    topology: Topology
    rounds: int
    max_new_tokens: int  # of one turn
    loop: int  # so many rounds running that repeat the one before end it; 0: repeats end nothing

    def __post_init__(self) -> None:
        """Raises InputError for fewer than one round or token, or a negative loop."""
        if self.rounds < 1 or self.max_new_tokens < 1 or self.loop < 0:
            raise InputError(
                "conversation",
                expected="at least 1 round and 1 new token a turn, and a loop of 0 or more",
                got=f"{self.rounds}, {self.max_new_tokens} and {self.loop}",
                cure="raise what is too low",
            )


@dataclass(frozen=True)
class Turn:
    """One agent's turn: a row of the transcript."""

    conversation: str  # the opening's key
    round: int  # from 0
    speaker: int  # the agent's place
    agent: str  # its name
    text: str  # what it said; may be empty
    read: int  # tokens that it had read when it began to speak


@dataclass(frozen=True)
class Talk:
    """A whole conversation: what was told, what was said, why it ended."""

    opening: Opening
    agents: tuple[str, ...]
    topology: Topology
    turns: tuple[Turn, ...]  # in the order in which they were spoken
    stop: Stop

    @property
    def rounds(self) -> int:
        """How many whole rounds were held."""
        return len(self.turns) // len(self.agents)


def write_talks(talks: Sequence[Talk]) -> str:
    """The talks as JSON lines, one a talk; `read_talks` gives them back equal."""
    return "".join(canonical(talk) + "\n" for talk in talks)


def read_talks(text: str) -> list[Talk]:
    """The talks that `write_talks` wrote. Raises InputError, with the line, for anything else."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            data = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"transcript, line {number}",
                expected="a JSON object",
                got=str(error),
                cure="give a file that write_talks wrote",
            ) from error
        found.append(from_plain(Talk, data, f"line {number}"))
    return found
