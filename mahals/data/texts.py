"""Texts: what does one text of the study look like as a record?"""

from __future__ import annotations

from dataclasses import dataclass

AXIOMS: tuple[str, ...] = (
    "Civility & Tolerance",
    "Duty & Accountability",
    "Empathy & Helpfulness",
    "Information Seeking",
    "Justice & Rights",
    "Well-being & Peace",
    "Wisdom & Knowledge",
)


@dataclass(frozen=True)
class WorldChoice:
    """Which synthetic world: the texts and the organisms must come from the same one."""

    seed: int  # which triples of the world are in which split


@dataclass(frozen=True)
class Prompt:
    """A user request. `label` 1 is safe, 0 unsafe (METHOD: notation)."""

    text: str  # the user's words alone: no template, no role tokens
    axiom: str  # its category: one of AXIOMS, or what the data calls one
    label: int  # 1 safe, 0 unsafe
    key: str  # split key: the (intent, object, target) triple on organisms, the text elsewhere
    cluster: str  # what intervals cluster on: object x target on organisms, the text elsewhere
    split: str  # extraction, mapping, selection or evaluation


@dataclass(frozen=True)
class Pair:
    """A preference pair: the same request with the better and the worse answer."""

    prompt: str  # the user's words, or a whole dialogue up to the last answer (`messages` joined)
    chosen: str
    rejected: str
    axiom: str | None  # None where the source has none
    label: int | None  # 1 safe request, 0 unsafe, None where the source has none
    key: str
    split: str


@dataclass(frozen=True)
class TaskItem:
    """A harmless question with one right answer among `choices` (for `safe_accuracy`)."""

    prompt: str
    choices: tuple[str, ...]
    answer: int  # index into choices
    key: str
    split: str


@dataclass(frozen=True)
class NeutralText:
    """A text without safety content, for perplexity, KL and maps."""

    text: str
    split: str
