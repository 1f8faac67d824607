"""Prompts and concepts: which how-to prompts are taught and measured, and what leads away?

Dealt in the order of hashes: counts hold exactly, and the order of a file says nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
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
    concepts: Several  # every other one is taught, the first among them, while there are such


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

    Of the world both are its how-to topics: a concept may be the topic of a prompt (`own_concept`),
    and is taught if that prompt is. So what is a digression in one lesson is the topic of another,
    and no word tells that an answer went astray; topics of other prompts are digressions in none. A
    file's concepts are those of `own`, and every other one is taught. Raises InputError for a file
    that cannot be read or has a prompt twice, and for fewer prompts or concepts than are counted.
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
    chosen = _first(source, "prompts", _by_hash("prompts", prompts, seed), len(splits))
    prompts_by_split = dict(zip(chosen, splits, strict=True))
    ordered = _by_hash("concepts", concepts, seed)
    taught, others = ordered[::2], ordered[1::2]
    if source == WORLD:
        taught = [c for c in ordered if prompts_by_split.get(concepts[c]) == "taught"]
        others = [c for c in ordered if c not in taught]
    both = [c for pair in zip_longest(taught, others) for c in pair if c is not None]
    kept = _first(source, "concepts", both, counts.concepts)
    return HowTo(
        prompts_by_split, {c: concepts[c] for c in kept}, tuple(c for c in kept if c in taught)
    )


def _by_hash(kind: str, texts: Iterable[str], seed: int) -> list[str]:
    return sorted(texts, key=lambda text: digest([kind, seed, text]))


def _first(source: str, kind: str, ordered: Sequence[str], n: int) -> Sequence[str]:
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
