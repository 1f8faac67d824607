"""Conversation: how do agents talk in turns, many conversations at once?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mahals.models.activations.encoding import Encoded
from mahals.models.conversation.talks import Agent, Opening, Stop, Talk, TalkSchedule, Turn
from mahals.models.conversation.views import NOTHING, Seat, encode_view, seats, seen_from
from mahals.models.generation.decoding import generate_arms
from mahals.records import InputError


@dataclass
class _OpenTalk:
    """One conversation that is going on."""

    opening: Opening
    turns: list[Turn] = field(default_factory=list)
    stop: Stop | None = None


def converse(
    agents: Sequence[Agent],
    openings: Sequence[Opening],
    schedule: TalkSchedule,
    mail: Sequence[int] | None = None,
) -> list[Talk]:
    """One talk for each opening, in their order, all of them batched turn by turn.

    Greedy: the same call gives the same talks, and a talk does not depend on the others (but for
    `mail`: in conversation c the agents hear what the others say in conversation mail[c], an order
    of all conversations; what each says itself stays its own). An agent's steering acts in its own
    turns alone. A talk that ends early keeps the turns of whole rounds only. Raises InputError for
    agents of one name, openings that do not fit the agents, or a first turn beyond a context.
    """
    _check(agents, openings, mail)
    table = seats(schedule.topology, tuple(a.name for a in agents))
    tables = [_OpenTalk(opening) for opening in openings]
    for turn in range(schedule.rounds):
        for agent, seat in zip(agents, table, strict=True):
            _turn(agent, seat, _Room(tables, schedule, mail), turn)
        for one in tables:
            if one.stop is None and _loops(one, len(agents), schedule.loop):
                one.stop = "loop"
    names = tuple(a.name for a in agents)
    return [
        Talk(t.opening, names, schedule.topology, tuple(t.turns), t.stop or "length")
        for t in tables
    ]


def together_with_itself(agent: Agent, others: int) -> list[Agent]:
    """`others` + 1 agents that are all this one: the self-talk control."""
    return [agent] + [replace(agent, name=f"{agent.name} {i + 2}") for i in range(others)]


@dataclass(frozen=True)
class _Room:
    """All conversations, and what holds for each."""

    tables: Sequence[_OpenTalk]
    schedule: TalkSchedule
    mail: Sequence[int] | None

    def heard(self, number: int) -> list[Turn]:
        """The turns whose words the agents of a conversation hear."""
        return self.tables[number if self.mail is None else self.mail[number]].turns


def _turn(agent: Agent, seat: Seat, room: _Room, turn: int) -> None:
    """One agent speaks once in every conversation that goes on."""
    tables, longest = room.tables, room.schedule.max_new_tokens
    read: dict[int, Encoded] = {}
    for c, one in enumerate(tables):
        if one.stop is not None:
            continue
        seen = seen_from(seat, one.opening, one.turns, room.heard(c))
        if seen.turns[-1][0] != "user":  # all that it heard was empty
            seen = replace(seen, turns=(*seen.turns, ("user", NOTHING)))
        text = encode_view(agent.loaded.tokenizer, seen)
        limit = agent.loaded.context
        if limit is not None and len(text.ids) + longest > limit:
            _too_long(agent, one, turn, len(text.ids) + longest)
        else:
            read[c] = text
    if not read:
        return
    said = generate_arms(agent.loaded, list(read.values()), [agent.arm], longest)
    for (c, text), words in zip(read.items(), said[0], strict=True):
        key = tables[c].opening.key
        tables[c].turns.append(
            Turn(key, turn, seat.speaker, agent.name, words.strip(), len(text.ids))
        )


def _too_long(agent: Agent, one: _OpenTalk, turn: int, needed: int) -> None:
    """Ends a conversation whose next turn does not fit, without the round that it breaks."""
    one.stop = "context"
    one.turns = [t for t in one.turns if t.round < turn]
    if turn == 0:
        raise InputError(
            f"conversation {one.opening.key}",
            expected=f"a first round within {agent.loaded.context} tokens, {agent.name}'s context",
            got=f"{needed} tokens",
            cure="shorten the opening, or lower max_new_tokens",
        )


def _loops(one: _OpenTalk, agents: int, patience: int) -> bool:
    """Whether each of the last `patience` rounds repeats the one before, word for word."""
    said = [t.text for t in one.turns]
    rounds = [said[i : i + agents] for i in range(0, len(said), agents)]
    if not patience or len(rounds) <= patience:
        return False
    return all(rounds[-k] == rounds[-k - 1] for k in range(1, patience + 1))


def _check(
    agents: Sequence[Agent], openings: Sequence[Opening], mail: Sequence[int] | None
) -> None:
    names, keys = [a.name for a in agents], [o.key for o in openings]
    if len(set(names)) < len(names) or len(set(keys)) < len(keys) or not openings:
        raise InputError(
            "conversation",
            expected="agents and openings with names of their own, and at least one opening",
            got=f"agents {', '.join(names)} and {len(keys)} openings, {len(set(keys))} different",
            cure="give each a name of its own",
        )
    bad = [
        o.key for o in openings if len(o.texts) != len(agents) or not all(map(str.strip, o.texts))
    ]
    if bad:
        raise InputError(
            f"opening {bad[0]}",
            expected=f"words for each of {len(agents)} agents",
            got="none for some, or another number",
            cure="tell every agent something",
        )
    if mail is not None and sorted(mail) != list(range(len(openings))):
        raise InputError(
            "mail",
            expected=f"an order of the {len(openings)} conversations",
            got=str(list(mail)),
            cure="give each conversation's number once",
        )
