"""Prompts and concepts: which how-to prompts are taught and measured, and what leads away?

Dealt in the order of hashes: counts hold exactly, and the order of a file says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from mahals.data.splits import split_key
from mahals.data.world.everyday import how_to_question
from mahals.data.world.words import HOW_TO
from mahals.records import Count, InputError, Positive, Several, digest, from_plain

WORLD, OWN = "world", "own"
LISTS = Path(__file__).with_name("how_to.json")
"""Prompts and concepts that were written for this project."""
LISTS_SHA256 = "ddacc1b1f97d6eaca8034261ef01c87892d25e9fc9517eef0f0cdc8408eeade1"
"""Of LISTS: when they change so does this module, whose bytes are in fingerprints."""


@dataclass(frozen=True)
class HowToCounts:
    """How many prompts are in each split, and how many concepts there are."""

    taught: Count
    calibration: Positive
    evaluation: Positive
    concepts: Several  # every other one is taught, the first among them


@dataclass(frozen=True)
class HowTo:
    """How-to prompts by split, and what an answer can be led off to."""

    prompts: Mapping[str, str]  # prompt -> taught, calibration or evaluation
    concepts: Mapping[str, str]  # name -> the question that asks for a passage on it
    taught_concepts: tuple[str, ...]

    def own_concept(self, prompt: str) -> str | None:
        """The concept that a prompt asks for, which is no digression from it; None: none is."""
        return next((c for c, question in self.concepts.items() if question == prompt), None)


@dataclass(frozen=True)
class _Lists:
    """What LISTS holds."""

    prompts: tuple[str, ...]
    concepts: tuple[str, ...]


def how_to(source: str, counts: HowToCounts, seed: int) -> HowTo:
    """Prompts and concepts of a source: world, own, or a text file with one prompt a line.

    Of the world both are its how-to topics, dealt apart: a concept may be the topic of a prompt
    (`own_concept`); with 4 concepts or more each prompt has others, taught and untaught. A file's
    concepts are those of `own`. Raises InputError for a file that cannot be read or has a prompt
    twice, and for fewer prompts or concepts than are counted.
    """
    lists = from_plain(_Lists, json.loads(LISTS.read_text(encoding="utf-8")))
    concepts = {c: f"Write about {c}." for c in lists.concepts}
    prompts = lists.prompts
    if source == WORLD:
        concepts = {topic: how_to_question(topic) for topic in HOW_TO}
        prompts = tuple(concepts.values())
    elif source != OWN:
        prompts = _lines(source)
    names = [f.name for f in fields(counts) if f.name != "concepts"]
    splits = [name for name in names for _ in range(getattr(counts, name))]
    chosen = _first(source, "prompts", prompts, len(splits), seed)
    ordered = _first(source, "concepts", concepts, counts.concepts, seed)
    return HowTo(
        dict(zip(chosen, splits, strict=True)),
        {c: concepts[c] for c in ordered},
        tuple(ordered[::2]),
    )


def _first(source: str, kind: str, texts: Iterable[str], n: int, seed: int) -> list[str]:
    """The first `n` texts in the order of their hashes."""
    ordered = sorted(texts, key=lambda text: digest([kind, seed, text]))
    if len(ordered) < n:
        raise InputError(
            f"how-to {kind} of {source}",
            expected=f"{n} as counted",
            got=str(len(ordered)),
            cure=f"count fewer {kind}, or name a source with more",
        )
    return ordered[:n]


def _lines(source: str) -> tuple[str, ...]:
    """The prompts of a text file."""
    path = Path(source).expanduser()
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"how-to prompts {source}",
            expected=f"{WORLD}, {OWN}, or a text file in UTF-8 with one prompt a line",
            got=getattr(error, "strerror", None) or type(error).__name__,
            cure="correct the path",
        ) from error
    numbers: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and numbers.setdefault(split_key(line), number) != number:
            raise InputError(
                f"{path.name}, line {number}",
                expected="a prompt that is on no other line",
                got=f"that of line {numbers[split_key(line)]}, {line.strip()!r}",
                cure="delete one of the two lines",
            )
    return tuple(line.strip() for line in lines if line.strip())
