"""Composed answers: of which parts is an answer made, and where does each attempt in it begin?"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mahals.data.world.everyday import how_to_question
from mahals.data.world.words import HOW_TO
from mahals.records import digest, seed_of

Texts = Mapping[str, Sequence[str]]  # answers by their prompt, or passages by their concept
RESTARTS = (
    "Wait, I drifted off topic. Back to the question: ",
    "Hold on, that is not what you asked. Let me start again: ",
    "Sorry, I have wandered off. To answer your question: ",
    "Hmm, none of this answers your question. Starting over: ",
    "No, wait, I lost the thread. Let me begin again: ",
    "Oh, I was writing about something else entirely. Back to what you asked: ",
)
"""What a writer says who notices that an answer has gone astray."""
TOPICS = {how_to_question(topic): topic for topic in HOW_TO}
"""The world's topic by its question."""
_WORLD = {prompt: f"Wait, that is off topic. To {topic}: " for prompt, topic in TOPICS.items()}
_STRIPPED = frozenset(r.strip() for r in (*RESTARTS, *_WORLD.values()))
_STOP = r"[.!?][\"')\]*\u201d\u2019]*"
_END = re.compile(rf"(?<!\d){_STOP}(?=\s)|(?=\n)|{_STOP}\Z")
PART = 0.5  # of a text that is broken off, or that an answer begins with

PlantedKind = Literal["improves", "worsens", "silent", "plain"]
"""improves: off topic, a restart, on topic; worsens: on topic, a restart, off topic; silent: off
and then on topic without a restart, which is one attempt; plain: on topic throughout."""


@dataclass(frozen=True)
class Composed:
    """A text and where its attempts start, 0 first."""

    text: str
    starts: tuple[int, ...]


@dataclass(frozen=True)
class Planted:
    """An answer whose attempts are known, and whether they get better."""

    prompt: str
    text: str
    starts: tuple[int, ...]
    kind: PlantedKind
    improves: bool | None  # None: it is one attempt


def restart_of(prompt: str) -> str:
    """The restart of answers to a prompt, always the same; of the world's prompts the world's."""
    return _WORLD.get(prompt) or RESTARTS[seed_of("restart", prompt) % len(RESTARTS)]


def compose(parts: Sequence[str]) -> Composed:
    """Parts without the white space around them, in order; a restart begins an attempt.

    Between them is a space, or a blank line after one that does not end a sentence.
    """
    text, starts = "", [0]
    for part in filter(None, map(str.strip, parts)):
        text += (" " if re.search(rf"(?:{_STOP}|:)\Z", text) else "\n\n") if text else ""
        starts += [len(text)] if text and part in _STRIPPED else []
        text += part
    return Composed(text, tuple(starts))


def cut_at_sentence(text: str, fraction: float) -> str:
    """`text` up to the end of the sentence or line nearest to `fraction` of it; one at least.

    A number with a full stop after it, as in a list, ends no sentence. A text without an end stays.
    """
    whole = text.strip()
    ends = [m.end() for m in _END.finditer(whole)]
    return whole[: min(ends, key=lambda end: abs(end - fraction * len(whole)), default=None)]


def planted_answers(references: Texts, passages: Texts, count: int, seed: int) -> list[Planted]:
    """Up to `count` answers of each kind, of the same pairs; fewer where there are fewer pairs.

    From a prompt's own answers (`references`: none that the judge has) and passages on concepts not
    its own; each prompt has its turn before one comes again. Blank texts and copies are left out.
    """
    answers, others = _written(references), _written(passages)
    turns = []
    for prompt in answers:
        met = sorted((digest([seed, prompt, c]), c) for c in others if c != TOPICS.get(prompt))
        turns += [(turn, digest([seed, prompt]), prompt, c) for turn, (_, c) in enumerate(met)]
    found: list[Planted] = []
    for _, _, prompt, concept in sorted(turns)[:count]:
        draw = seed_of("planted", seed, prompt, concept)
        on = answers[prompt][draw % len(answers[prompt])]
        off = others[concept][draw % len(others[concept])]
        begun, astray = cut_at_sentence(on, PART), cut_at_sentence(off, PART)
        kinds: tuple[tuple[PlantedKind, bool | None, tuple[str, ...]], ...] = (
            ("improves", True, (astray, restart_of(prompt), on)),
            ("worsens", False, (begun, restart_of(prompt), off)),
            ("silent", None, (astray, on)),
            ("plain", None, (on,)),
        )
        made = [(kind, improves, compose(parts)) for kind, improves, parts in kinds]
        found += [Planted(prompt, c.text, c.starts, kind, rises) for kind, rises, c in made]
    return list(dict.fromkeys(found))


def _written(texts: Texts) -> dict[str, list[str]]:
    return {name: kept for name, some in texts.items() if (kept := [t for t in some if t.strip()])}
