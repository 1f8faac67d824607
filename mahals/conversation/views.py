"""What has one agent read when it is its turn?

A view is one agent's own side of a conversation: what it was told and heard is the user's, what it
said is the assistant's. Messages heard since its last turn are one user turn, since many chat
templates refuse two running.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from mahals.activations import Encoded
from mahals.conversation.talks import Opening, Talk, Turn
from mahals.conversation.topology import Topology, hears
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
    if seen.turns[-1][0] != "user":
        raise InputError(
            "view",
            expected="words that the agent has to answer",
            got="its own words last",
            cure="let it hear something, or ask it with encode_after",
        )
    before = View(seen.turns[:-1])
    return encode_own(tokenizer, before, "user", seen.turns[-1][1])


def encode_prompt(tokenizer: PreTrainedTokenizerBase, seen: View, prompt: str) -> Encoded:
    """A prompt as the user's next words after a view; own: the prompt's tokens."""
    if seen.turns and seen.turns[-1][0] == "user":
        before, lead = View(seen.turns[:-1]), seen.turns[-1][1] + "\n"
        return encode_own(tokenizer, before, "user", prompt, lead)
    return encode_own(tokenizer, seen, "user", prompt)


def choices_after(
    tokenizer: PreTrainedTokenizerBase, seen: View, choices: Sequence[str]
) -> list[Encoded]:
    """Each choice as the agent's next turn, for `logprob_arms`; own: the choice's tokens.

    Raises InputError for a view that ends with the agent's own words.
    """
    if seen.turns[-1][0] != "user":
        raise InputError(
            "view",
            expected="words that the agent has to answer",
            got="its own words last",
            cure="ask it something first",
        )
    return [encode_own(tokenizer, seen, "assistant", c) for c in choices]


def encode_own(
    tokenizer: PreTrainedTokenizerBase, before: View, role: str, own: str, lead: str = ""
) -> Encoded:
    """The tokens of a view and one turn more; `own` is that turn's words behind `lead`.

    A user's turn is followed by what begins an answer; an assistant's ends with its last word.
    Without a chat template turns are plain paragraphs. Raises InputError for empty own words, or a
    template that does not keep words as they are.
    """
    answer = role == "assistant"
    marked = View((*before.turns, (role, lead + _MARKER)))
    whole = View((*before.turns, (role, lead + own)))
    head, found, tail = _marked(tokenizer, marked, not answer).partition(_MARKER)
    text = _marked(tokenizer, whole, not answer)
    last = len(text) - len(tail)
    if not found or not text.startswith(head) or text[len(head) : last].strip() != own.strip():
        raise InputError(
            "chat template",
            expected=f"one that keeps the {role}'s words as they are in a longer conversation",
            got=repr(text[-80:]),
            cure="use a tokenizer whose chat template renders plain turns",
        )
    kept = text[:last] if answer else text
    return _located(tokenizer, kept, (len(head), last))


def _marked(tokenizer: PreTrainedTokenizerBase, seen: View, answer: bool) -> str:
    """The view as text; `answer`: with what begins the agent's next turn."""
    if tokenizer.chat_template is None:
        return "\n\n".join(words for _, words in seen.turns) + ("\n\n" if answer else "")
    turns = [{"role": role, "content": words} for role, words in seen.turns]
    rendered = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=answer)
    return str(rendered)


def _located(tokenizer: PreTrainedTokenizerBase, text: str, span: tuple[int, int]) -> Encoded:
    """The tokens of a text, those that hold characters of `span` its own."""
    plain = tokenizer.chat_template is None
    out = tokenizer(
        text,
        add_special_tokens=plain,
        return_offsets_mapping=True,
        return_attention_mask=False,
        verbose=False,
    )
    ids, offsets = out["input_ids"], out["offset_mapping"]
    inside = text[span[0] : span[1]]
    first = span[0] + len(inside) - len(inside.lstrip())
    own = [i for i, (a, b) in enumerate(offsets) if a < b and b > first and a < span[1]]
    if not own or not inside.strip():
        raise InputError(
            "text",
            expected="at least one token of its own",
            got=repr(inside),
            cure="leave empty texts out",
        )
    bos = tokenizer.bos_token_id
    skip = int(bos is not None and len(ids) > 1 and ids[0] == ids[1] == bos and own[0] > 0)
    return Encoded(tuple(ids[skip:]), own[0] - skip, own[-1] + 1 - skip)
