"""Views: what has one agent read when it is its turn?

A view is one agent's own side of a conversation: what it was told and heard is the user's, what it
said is the assistant's. Messages heard since its last turn are one user turn, since many chat
templates refuse two running.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from mahals.models.activations.encoding import Encoded
from mahals.models.conversation.talks import Opening, Talk, Turn
from mahals.models.conversation.topology import Topology, hears
from mahals.records import InputError

NOTHING = "..."  # what an agent reads that heard nothing since its last turn
_MARKER = "\ue000own\ue001text\ue000"  # private-use characters: in no template


@dataclass(frozen=True)
class View:
    """The turns of one agent's context, (role, words), roles alternating from the user's."""

    turns: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Seat:
    """One agent's place at a table, and whom it hears."""

    speaker: int
    heard: tuple[int, ...]
    names: tuple[str, ...]  # of all agents


def seats(topology: Topology, names: tuple[str, ...]) -> tuple[Seat, ...]:
    """The seat of every agent. Raises InputError as `hears` does."""
    heard = hears(topology, len(names))
    return tuple(Seat(i, h, names) for i, h in enumerate(heard))


def seen_from(seat: Seat, opening: Opening, own: Sequence[Turn], others: Sequence[Turn]) -> View:
    """The view from a seat: its own turns are of `own`, those it heard of `others`.

    Both in speaking order; they are the same list unless messages were exchanged between
    conversations. Empty messages of others are not heard.
    """
    turns = [("user", opening.texts[seat.speaker])]
    mine = {(t.round, t.speaker): t.text for t in own if t.speaker == seat.speaker}
    theirs = {(t.round, t.speaker): t.text for t in others if t.speaker in seat.heard}
    for at in sorted({*mine, *theirs}):
        if at in mine:
            if turns[-1][0] == "assistant":
                turns.append(("user", NOTHING))
            turns.append(("assistant", mine[at]))
        elif theirs[at].strip():
            said = theirs[at].strip()
            if len(seat.heard) > 1:
                said = f"{seat.names[at[1]]}: {said}"
            if turns[-1][0] == "user":
                turns[-1] = ("user", f"{turns[-1][1]}\n{said}")
            else:
                turns.append(("user", said))
    return View(tuple(turns))


def view(talk: Talk, speaker: int, rounds: int | None = None, others: Talk | None = None) -> View:
    """An agent's view after the first `rounds` rounds of a talk (None: after all of them).

    `others`: the talk whose messages it heard instead, where they were exchanged. A talk that
    ended earlier is as it ended. Raises InputError for an agent that was not there.
    """
    if not 0 <= speaker < len(talk.agents):
        raise InputError(
            "speaker",
            expected=f"0 to {len(talk.agents) - 1}",
            got=str(speaker),
            cure="count the agents of the talk from 0",
        )
    seat = seats(talk.topology, talk.agents)[speaker]
    heard = talk if others is None else others
    until = talk.rounds if rounds is None else rounds
    own, far = ([t for t in some.turns if t.round < until] for some in (talk, heard))
    return seen_from(seat, talk.opening, own, far)


def encode_view(tokenizer: PreTrainedTokenizerBase, seen: View) -> Encoded:
    """The view, up to where the agent's next turn begins; own: the words of its last user turn.

    Raises InputError for a view that ends with the agent's own words: it has heard nothing since.
    """
    _check_heard(seen, "let it hear something, or ask it with encode_after")
    before = View(seen.turns[:-1])
    return _encode_owns(tokenizer, before, ("user", ""), [seen.turns[-1][1]])[0]


def encode_prompts_after(
    tokenizer: PreTrainedTokenizerBase, seen: View, prompts: Sequence[str]
) -> list[Encoded]:
    """Each prompt as the user's next words after a view; own: the prompt's tokens."""
    heard = bool(seen.turns) and seen.turns[-1][0] == "user"
    before = View(seen.turns[:-1]) if heard else seen
    lead = f"{seen.turns[-1][1]}\n" if heard else ""
    return _encode_owns(tokenizer, before, ("user", lead), prompts)


def choices_after(
    tokenizer: PreTrainedTokenizerBase, seen: View, choices: Sequence[str]
) -> list[Encoded]:
    """Each choice as the agent's next turn, for `logprob_arms`; own: the choice's tokens.

    Raises InputError for a view that ends with the agent's own words.
    """
    _check_heard(seen, "ask it something first")
    return _encode_owns(tokenizer, seen, ("assistant", ""), choices)


def _check_heard(seen: View, cure: str) -> None:
    if seen.turns[-1][0] != "user":
        raise InputError(
            "view",
            expected="words that the agent has to answer",
            got="its own words last",
            cure=cure,
        )


def _encode_owns(
    tokenizer: PreTrainedTokenizerBase, before: View, turn: tuple[str, str], owns: Sequence[str]
) -> list[Encoded]:
    """The tokens of a view and one turn more, for each of `owns`: that turn's words.

    `turn` is its role, and words of nobody's own before them. A user's turn is followed by what
    begins an answer; an assistant's ends with its last word. Without a chat template turns are
    plain paragraphs. The template is rendered around a marker, and checked on the first and the
    last of the words. Raises InputError for empty words, or a template that changes them.
    """
    role, lead = turn
    answer = role == "assistant"
    around = _marked(tokenizer, View((*before.turns, (role, lead + _MARKER))), not answer)
    head, _, tail = around.partition(_MARKER)
    stripped = [own.strip() for own in owns]
    for own in {stripped[0], stripped[-1]}:
        text = _marked(tokenizer, View((*before.turns, (role, lead + own))), not answer)
        if text != head + own + tail:
            raise InputError(
                "chat template",
                expected=f"one that keeps the {role}'s words as they are in a long conversation",
                got=repr(text[-80:]),
                cure="use a tokenizer whose chat template renders plain turns",
            )
    texts = [head + own + ("" if answer else tail) for own in stripped]
    return _located(tokenizer, texts, len(head), [len(own) for own in stripped])


def _marked(tokenizer: PreTrainedTokenizerBase, seen: View, answer: bool) -> str:
    """The view as text; `answer`: with what begins the agent's next turn."""
    if tokenizer.chat_template is None:
        return "\n\n".join(words for _, words in seen.turns) + ("\n\n" if answer else "")
    turns = [{"role": role, "content": words} for role, words in seen.turns]
    rendered = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=answer)
    return str(rendered)


def _located(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], first: int, lengths: Sequence[int]
) -> list[Encoded]:
    """The tokens of texts; own: those that hold any of a text's `length` characters from `first`.

    A token that joins the last character before them with their first is own.
    """
    out = tokenizer(
        list(texts),
        add_special_tokens=tokenizer.chat_template is None,
        return_offsets_mapping=True,
        return_attention_mask=False,
        verbose=False,
    )
    found, bos = [], tokenizer.bos_token_id
    for ids, offsets, length in zip(out["input_ids"], out["offset_mapping"], lengths, strict=True):
        stop = first + length
        own = [i for i, (a, b) in enumerate(offsets) if a < b and b > first and a < stop]
        if not own:
            raise InputError(
                "text",
                expected="at least one token of its own",
                got="an empty one",
                cure="leave empty texts out",
            )
        skip = int(bos is not None and len(ids) > 1 and ids[0] == ids[1] == bos and own[0] > 0)
        found.append(Encoded(tuple(ids[skip:]), own[0] - skip, own[-1] + 1 - skip))
    return found
