"""Dialogues: where do the two of a preference pair part, and what is said before and after?"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")


@dataclass(frozen=True)
class DialogueTurn:
    """One turn of a dialogue."""

    role: str  # Human or Assistant
    text: str


@dataclass(frozen=True)
class Parted:
    """A pair of dialogues, split where the answers begin."""

    prompt: str  # the user's words; with earlier turns, the whole dialogue before the answer
    opening: str  # the first user turn
    chosen: str
    rejected: str


def turns(dialogue: str) -> list[DialogueTurn]:
    """The turns of a dialogue in `\\n\\nHuman:`, `\\n\\nAssistant:` form; empty without a mark."""
    parts = _MARK.split(dialogue)
    if parts[0].strip():  # words of nobody before the first mark
        return []
    return [DialogueTurn(r, t.strip()) for r, t in zip(parts[1::2], parts[2::2], strict=True)]


def part(chosen: str, rejected: str) -> Parted | None:
    """The two dialogues split at the first turn that differs; None where that cannot be done.

    The answers begin at that turn, or at the last Assistant turn before it, and run to the end: an
    answer that goes on with turns of its own keeps them. A pair whose texts are equal, that does
    not open with a Human turn, or that has no Assistant turn to begin at, gives None.
    """
    left, right = turns(chosen), turns(rejected)
    if not left or not right or left[0] != right[0] or left[0].role != "Human" or left == right:
        return None
    shared = _shared(left, right)
    start = min(shared, len(left) - 1, len(right) - 1)
    while start > 0 and not (left[start].role == right[start].role == "Assistant"):
        start -= 1
    if start == 0:
        return None
    before = left[:start]
    prompt = before[0].text if start == 1 else _joined(before)
    return Parted(prompt, before[0].text, _answer(left[start:]), _answer(right[start:]))


def _shared(left: list[DialogueTurn], right: list[DialogueTurn]) -> int:
    equal = [a == b for a, b in zip(left, right, strict=False)]
    return equal.index(False) if False in equal else len(equal)


def _joined(found: list[DialogueTurn]) -> str:
    return "\n\n".join(f"{turn.role}: {turn.text}" for turn in found)


def _answer(found: list[DialogueTurn]) -> str:
    rest = _joined(found[1:])
    return f"{found[0].text}\n\n{rest}" if rest else found[0].text
