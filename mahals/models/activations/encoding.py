"""Encoding: which tokens does a model read for a text, and which of them are the text's own?

A chat template's tokens, an instruction and the begin token are read but are nobody's own. Own
text is found by rendering the template around a marker, so that a prompt that repeats itself or
the template's words is no trouble; tokens are found by character offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from mahals.records import InputError

_MARKER = "\ue000own\ue001text\ue000"  # private-use characters: in no template


@dataclass(frozen=True)
class Encoded:
    """The tokens of one text; `[start, stop)` are its own (for pool "mean" and log-probability)."""

    ids: tuple[int, ...]
    start: int
    stop: int
    scored: bool = False  # whether its own tokens count as generated: an answer, a neutral text

    @property
    def prompt(self) -> int:
        """How many of its first tokens are its prompt: all, or those before its own."""
        return self.start if self.scored else len(self.ids)


@dataclass(frozen=True)
class _Span:
    """A whole text, and the characters [first, last) of it that are own."""

    text: str
    first: int
    last: int


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], *, system: str | None = None
) -> list[Encoded]:
    """Each prompt as the user's turn, up to where the answer begins; own: the prompt's tokens.

    With a chat template: the template, a generation prompt, and `system` as the system turn, or
    before the prompt where the template has no system turn. Without one: plain text. Raises
    InputError for an empty prompt.
    """
    if tokenizer.chat_template is None:
        lead = "" if system is None else f"{system}\n\n"
        spans = [_Span(lead + p, len(lead), len(lead) + len(p)) for p in prompts]
        return _encode(tokenizer, spans, plain=True)
    turns = _turns(tokenizer, system)
    return _encode(tokenizer, [_render(tokenizer, turns, p, "user") for p in prompts], plain=False)


def encode_answers(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    answers: Sequence[str],
    *,
    system: str | None = None,
) -> list[Encoded]:
    """Each prompt with its answer, ending with the answer's last token; own: the answer's tokens.

    Without a chat template one space joins prompt and answer unless white space does. Raises
    InputError for an empty answer or when the counts differ.
    """
    if len(prompts) != len(answers):
        raise InputError(
            "answers",
            expected=f"one for each of {len(prompts)} prompts",
            got=str(len(answers)),
            cure="give as many answers as prompts",
        )
    pairs = list(zip(prompts, answers, strict=True))
    if tokenizer.chat_template is None:
        lead = "" if system is None else f"{system}\n\n"
        spans = [_joined(lead + p, a) for p, a in pairs]
        return _scored(_encode(tokenizer, spans, plain=True))
    turns = _turns(tokenizer, system)
    spans = []
    for prompt, answer in pairs:
        asked = _said(turns, prompt)
        spans.append(_render(tokenizer, asked, answer, "assistant"))
    return _scored(_encode(tokenizer, spans, plain=False))


def encode_texts(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[Encoded]:
    """Each text as it stands, with the special tokens that the tokenizer puts around any text.

    Own: the text's tokens. Raises InputError for an empty text.
    """
    return _scored(_encode(tokenizer, [_Span(t, 0, len(t)) for t in texts], plain=True))


def _scored(encoded: Sequence[Encoded]) -> list[Encoded]:
    return [replace(e, scored=True) for e in encoded]


Turns = tuple[dict[str, str], ...]


def _turns(tokenizer: PreTrainedTokenizerBase, system: str | None) -> Turns:
    """The turns before an answer, with the marker where the prompt goes."""
    alone: Turns = ({"role": "user", "content": _MARKER},)
    if system is None:
        return alone
    from jinja2.exceptions import TemplateError

    turns: Turns = ({"role": "system", "content": system}, *alone)
    try:
        rendered = _template(tokenizer, turns, answer=False)
    except TemplateError:
        rendered = ""  # a template that refuses a system turn
    if system.strip() in rendered and _MARKER in rendered:
        return turns
    return ({"role": "user", "content": f"{system}\n\n{_MARKER}"},)


def _said(turns: Turns, prompt: str) -> Turns:
    return tuple(
        {"role": t["role"], "content": t["content"].replace(_MARKER, prompt)} for t in turns
    )


def _render(tokenizer: PreTrainedTokenizerBase, turns: Turns, own: str, role: str) -> _Span:
    """`turns` rendered with `own` as the user's prompt or as the assistant's answer after them."""
    answer = role == "assistant"
    marked = (*turns, {"role": role, "content": _MARKER}) if answer else turns
    before, found, after = _template(tokenizer, marked, answer=answer).partition(_MARKER)
    text = _template(tokenizer, _said(marked, own), answer=answer)
    last = len(text) - len(after)
    kept = text[len(before) : last]
    if not found or not text.startswith(before) or kept.strip() != own.strip():
        raise InputError(
            "chat template",
            expected=f"one that keeps the {role}'s words as they are",
            got=repr(text[:80]),
            cure="use a tokenizer whose chat template renders plain turns",
        )
    return _Span(text[:last] if answer else text, len(before), last)


def _template(tokenizer: PreTrainedTokenizerBase, turns: Turns, *, answer: bool) -> str:
    rendered = tokenizer.apply_chat_template(
        list(turns), tokenize=False, add_generation_prompt=not answer
    )
    return str(rendered)


def separator(prompt: str, answer: str) -> str:
    """What stands between a prompt and its answer where there is no chat template."""
    return "" if prompt[-1:].isspace() or answer[:1].isspace() else " "


def _joined(prompt: str, answer: str) -> _Span:
    text = prompt + separator(prompt, answer) + answer
    return _Span(text, len(text) - len(answer), len(text))


def _encode(
    tokenizer: PreTrainedTokenizerBase, spans: Sequence[_Span], *, plain: bool
) -> list[Encoded]:
    if not spans:
        return []
    out = tokenizer(
        [s.text for s in spans],
        add_special_tokens=plain,
        return_offsets_mapping=True,
        return_attention_mask=False,
        verbose=False,
    )
    return [
        _located(tokenizer, span, ids, offsets)
        for span, ids, offsets in zip(spans, out["input_ids"], out["offset_mapping"], strict=True)
    ]


def _located(
    tokenizer: PreTrainedTokenizerBase,
    span: _Span,
    ids: Sequence[int],
    offsets: Sequence[tuple[int, int]],
) -> Encoded:
    own = [i for i, (a, b) in enumerate(offsets) if _is_own(span, a, b)]
    if not own:
        raise InputError(
            "text",
            expected="at least one token of its own",
            got=repr(span.text[span.first : span.last]),
            cure="leave empty texts out",
        )
    bos = tokenizer.bos_token_id
    double = bos is not None and len(ids) > 1 and ids[0] == ids[1] == bos
    skip = int(double and own[0] > 0)  # a text that brings the begin token itself
    return Encoded(tuple(ids[skip:]), own[0] - skip, own[-1] + 1 - skip)


def _is_own(span: _Span, first: int, last: int) -> bool:
    """Whether a token at characters [first, last) holds own text and no other but white space."""
    if first >= last or last <= span.first or first >= span.last:
        return False
    other = span.text[first : min(last, span.first)] if first < span.first else ""
    if last > span.last:
        other += span.text[max(first, span.last) : last]
    return not other.strip()
