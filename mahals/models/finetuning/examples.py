"""Examples: which tokens of a conversation does a model learn: answers, each with what ends it?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from mahals.models.activations.encoding import separator
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.records import InputError, from_plain

IGNORED = -100  # the target of a token that is not learned
_MARKER = "\ue000answer\ue001here\ue000"  # private-use characters: in no template


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str  # system, user or assistant
    content: str


Dialogue = tuple[Message, ...]


@dataclass(frozen=True)
class Example:
    """One conversation as tokens; `learned` says of each whether the loss counts it."""

    ids: tuple[int, ...]
    learned: tuple[bool, ...]


@dataclass(frozen=True)
class TrainingBatch:
    """Examples as rows (rows, tokens), padded on the right, where a causal mask hides it.

    `targets` is the token that follows each position, IGNORED where that one is not learned.
    """

    ids: Tensor
    targets: Tensor


def dialogue(prompt: str, answer: str) -> Dialogue:
    """A request and its answer."""
    return (Message("user", prompt), Message("assistant", answer))


def read_dialogues(path: Path) -> tuple[Dialogue, ...]:
    """The conversations of a file of JSON lines, each `{"messages": [{"role", "content"}, ...]}`.

    Keys beside `messages` are left alone. Raises InputError, naming the line, for one that is no
    JSON or has another form, and for a file that is missing or holds no conversation.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _no_file(path, f"{type(error).__name__}: {error}") from error
    found = [_read(f"{path.name}, line {n}", t) for n, t in enumerate(lines, 1) if t.strip()]
    if not found:
        raise _no_file(path, "no line")
    return tuple(found)


def _no_file(path: Path, got: str) -> InputError:
    return InputError(
        f"file {path.name}",
        expected='JSON lines with "messages" in UTF-8, at least one',
        got=got,
        cure="give another file",
    )


def _read(where: str, line: str) -> Dialogue:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(where, expected="JSON", got=error.msg, cure="correct the line") from error
    if not isinstance(data, Mapping) or "messages" not in data:
        raise InputError(
            where, expected='an object with "messages"', got=line[:60], cure="correct the line"
        )
    return from_plain(tuple[Message, ...], data["messages"], f"{where}: messages")


def encode_dialogues(loaded: Loaded, dialogues: Sequence[Dialogue]) -> tuple[Example, ...]:
    """Each conversation as the model reads it; learned: every answer, with the token that ends it.

    With a chat template: the template, without a generation prompt. A system turn that the
    template refuses stands before the first user turn. Without a template: an answer follows its
    prompt as `encode_answers` joins them, other turns a blank line, and the end token ends the
    last one. Raises InputError for no conversation at all,
    one without an answer or with an unknown role, and one over the model's context.
    """
    if not dialogues:
        raise InputError(
            "training data", expected="at least one conversation", got="none", cure="give some"
        )
    found = [_encode(loaded.tokenizer, d, i) for i, d in enumerate(dialogues)]
    context = loaded.context
    long = [i for i, e in enumerate(found) if context is not None and len(e.ids) > context]
    if long:
        raise InputError(
            f"conversation {long[0]} of the training data",
            expected=f"at most {context} tokens, the context of {loaded.key}",
            got=f"{len(found[long[0]].ids)} ({len(long)} of {len(found)} are too long)",
            cure="leave them out, or shorten them",
        )
    return tuple(found)


@dataclass(frozen=True)
class _Text:
    """A whole conversation and the characters [first, last) of each answer in it."""

    text: str
    answers: tuple[tuple[int, int], ...]


def _encode(tokenizer: PreTrainedTokenizerBase, turns: Dialogue, index: int) -> Example:
    _check(turns, index)
    plain = tokenizer.chat_template is None
    text = _plain_text(turns) if plain else _templated(tokenizer, turns)
    out = tokenizer(
        text.text,
        add_special_tokens=plain,
        return_offsets_mapping=True,
        return_attention_mask=False,
        verbose=False,
    )
    ids, offsets = list(out["input_ids"]), list(out["offset_mapping"])
    if plain:
        ids, offsets = _ended(tokenizer, ids, offsets, len(text.text))
    learned = [False] * len(ids)
    for first, last in text.answers:
        own = [i for i, (a, b) in enumerate(offsets) if a < b and b > first and a < last]
        for i in range(own[0], min(own[-1] + 2, len(ids))):
            learned[i] = True
    bos = tokenizer.bos_token_id
    skip = int(bos is not None and len(ids) > 1 and ids[0] == ids[1] == bos and not learned[1])
    return Example(tuple(ids[skip:]), tuple(learned[skip:]))


def _check(turns: Dialogue, index: int) -> None:
    roles = [t.role for t in turns]
    wrong = sorted(set(roles) - {"system", "user", "assistant"})
    empty = any(t.role == "assistant" and not t.content.strip() for t in turns)
    if wrong or empty or "assistant" not in roles or roles[0] == "assistant":
        raise InputError(
            f"conversation {index} of the training data",
            expected="turns of system, user and assistant, with an answer that is not empty",
            got="an empty answer" if empty else ", ".join(roles) or "no turn",
            cure="correct it, or leave it out",
        )


def _ended(
    tokenizer: PreTrainedTokenizerBase, ids: list[int], offsets: list[tuple[int, int]], at: int
) -> tuple[list[int], list[tuple[int, int]]]:
    """The tokens with the end token after them, unless the tokenizer has put it there itself."""
    end = tokenizer.eos_token_id
    if end is None or ids[-1] == end:
        return ids, offsets
    return [*ids, end], [*offsets, (at, at)]


def _plain_text(turns: Dialogue) -> _Text:
    text, answers = "", []
    for turn in turns:
        answers_a_user = text and turn.role == "assistant"
        text += separator(text, turn.content) if answers_a_user else "\n\n" if text else ""
        if turn.role == "assistant":
            answers.append((len(text), len(text) + len(turn.content)))
        text += turn.content
    return _Text(text, tuple(answers))


def _templated(tokenizer: PreTrainedTokenizerBase, turns: Dialogue) -> _Text:
    from jinja2.exceptions import TemplateError

    try:
        text = _render(tokenizer, turns)
    except TemplateError:
        turns = _folded(turns)
        text = _render(tokenizer, turns)
    answers = []
    for i, turn in enumerate(turns):
        if turn.role == "assistant":
            marked = (*turns[:i], Message("assistant", _MARKER), *turns[i + 1 :])
            before, found, after = _render(tokenizer, marked).partition(_MARKER)
            last = len(text) - len(after)
            kept = text[len(before) : last].strip() == turn.content.strip()
            if not (found and kept and text.startswith(before) and text.endswith(after)):
                raise InputError(
                    "chat template",
                    expected="one that keeps every answer as it is",
                    got=repr(text[:80]),
                    cure="use a tokenizer whose chat template renders plain turns",
                )
            answers.append((len(before), last))
    return _Text(text, tuple(answers))


def _folded(turns: Dialogue) -> Dialogue:
    """The conversation with its system turn before the words of the first user turn."""
    if len(turns) < 2 or turns[0].role != "system" or turns[1].role != "user":
        return turns
    asked = Message("user", f"{turns[0].content}\n\n{turns[1].content}")
    return (asked, *turns[2:])


def _render(tokenizer: PreTrainedTokenizerBase, turns: Dialogue) -> str:
    said = [{"role": t.role, "content": t.content} for t in turns]
    return str(tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=False))


def batch(examples: Sequence[Example], device: torch.device) -> TrainingBatch:
    """Examples as one batch on `device`."""
    length = max(len(e.ids) for e in examples)
    ids = torch.zeros(len(examples), length, dtype=torch.long)
    targets = torch.full((len(examples), length), IGNORED, dtype=torch.long)
    for row, example in enumerate(examples):
        own = torch.tensor(example.ids)
        ids[row, : len(own)] = own
        following = own[1:].masked_fill(~torch.tensor(example.learned[1:]), IGNORED)
        targets[row, : len(own) - 1] = following
    return TrainingBatch(ids.to(device), targets.to(device))
