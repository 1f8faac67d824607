"""Splits: in which one is a real text, and which texts of a split are measured?

Both are decided by hashes of the text, never by its place in the file: the same rows in another
order give the same study. Within a cell (category and label) texts stand in the order of the hash
of their key and are dealt to the splits by their shares, so that a small cell is in every split as
far as it goes. What belongs together (copies of a text, a safe prompt and its contrast) is one unit
and stays in one split. A text's split does not depend on the seed, so that no other seed moves a
selection prompt into evaluation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from mahals.data.categories import LEAST, categories_of
from mahals.data.texts import NeutralText, Pair, Prompt, TaskItem
from mahals.records import InputError

T = TypeVar("T")
S = TypeVar("S", Pair, NeutralText, TaskItem)
Cell = tuple[object, ...]
WORD: Mapping[int, str] = {1: "safe", 0: "unsafe"}


@dataclass(frozen=True)
class Shares:
    """How many parts of all texts go to each split; 0 leaves a split empty."""

    extraction: int
    mapping: int
    selection: int
    evaluation: int

    @property
    def names(self) -> tuple[str, ...]:
        """The splits with a share, in the order of the fields."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) > 0)


def split_key(text: str) -> str:
    """`text` less case and spacing: copies of one text fall into one split."""
    return " ".join(text.casefold().split())


def deal(units: Mapping[str, Cell], shares: Shares) -> dict[str, str]:
    """The split of each unit, by its key: of every cell as many parts as `shares` says.

    The units of a cell, in the order of the hash of their key, take turns: the split that is
    furthest behind its share comes next, at a tie the one with the larger share, then the first.
    Raises InputError for a negative share or when all shares are 0.
    """
    parts = [getattr(shares, f.name) for f in fields(shares)]
    if min(parts) < 0 or sum(parts) == 0:
        raise InputError(
            "datasets.shares",
            expected="whole numbers from 0, at least one of them above 0",
            got=str(parts),
            cure="correct datasets.shares",
        )
    cells: dict[Cell, list[str]] = {}
    for key, cell in units.items():
        cells.setdefault(cell, []).append(key)
    found: dict[str, str] = {}
    for keys in cells.values():
        ordered = sorted(keys, key=lambda key: (_hash(key, b""), key))
        found |= dict(zip(ordered, _turns(len(keys), shares), strict=True))
    return found


def _turns(n: int, shares: Shares) -> list[str]:
    """Whose turn it is, n times."""
    weights = {name: getattr(shares, name) for name in shares.names}
    behind = dict.fromkeys(weights, 0)
    found = []
    for _ in range(n):
        behind = {name: behind[name] + weight for name, weight in weights.items()}
        turn = max(weights, key=lambda name: (behind[name], weights[name]))
        behind[turn] -= sum(weights.values())
        found.append(turn)
    return found


def joined_units(members: Sequence[Sequence[str]]) -> list[str]:
    """The unit of each item, of which `members` names the marks: items that share one are one unit.

    A unit is called by the first of its marks in sorted order.
    """
    head: dict[str, str] = {}

    def root(mark: str) -> str:
        while head.setdefault(mark, mark) != mark:
            mark = head[mark]
        return mark

    for marks in members:
        for other in marks[1:]:
            first, second = sorted((root(marks[0]), root(other)))
            head[second] = first
    return [root(marks[0]) for marks in members]


def dealt(prompts: Sequence[Prompt], shares: Shares) -> tuple[Prompt, ...]:
    """The prompts with their splits: by category and label, what shares a cluster together."""
    cells: dict[str, set[tuple[str, int]]] = {}
    for prompt in prompts:
        cells.setdefault(prompt.cluster, set()).add((prompt.axiom, prompt.label))
    splits = deal({key: tuple(sorted(cell)) for key, cell in cells.items()}, shares)
    return tuple(replace(p, split=splits[p.cluster]) for p in prompts)


def sample_prompts(
    prompts: Iterable[Prompt], splits: Sequence[str], per_cell: int, seed: int
) -> tuple[Prompt, ...]:
    """At most `per_cell` prompts for each split, category and label, in that order.

    The prompts of a cell stand in the order of the hash of their cluster, so that the first of the
    safe and of the unsafe ones are pairs where there are pairs. Raises InputError, with its cells,
    for a split in which no category has `LEAST` prompts of either label.
    """
    given = [p for p in prompts if p.split in splits]
    cells: dict[tuple[str, str, int], list[Prompt]] = {
        (s, a, n): [] for s in splits for a in categories_of(given) for n in (1, 0)
    }
    for prompt in given:
        cells[(prompt.split, prompt.axiom, prompt.label)].append(prompt)
    for split in splits:
        counts = {f"{a}, {WORD[n]}": len(found) for (s, a, n), found in cells.items() if s == split}
        full = [a for s, a, n in cells if s == split and n and _whole(cells, split, a)]
        if not full:
            _refuse(f"prompts in {split}", counts, LEAST, "datasets.per_cell")
    chosen = (_chosen(c, lambda p: p.cluster, per_cell, seed) for c in cells.values())
    return tuple(prompt for found in chosen for prompt in found)


def _whole(cells: Mapping[tuple[str, str, int], Sized], split: str, category: str) -> bool:
    return all(len(cells[split, category, label]) >= LEAST for label in (0, 1))


def sample_split(
    what: Sampled, items: Iterable[S], splits: Sequence[str], n: int, seed: int
) -> tuple[S, ...]:
    """At most `n` items of each split. Raises InputError for a split with fewer than `LEAST`."""
    by_split: dict[str, list[S]] = {s: [] for s in splits}
    for item in items:
        if item.split in splits:
            by_split[item.split].append(item)
    counts = {split: len(found) for split, found in by_split.items()}
    if min(counts.values(), default=0) < LEAST:
        _refuse(what.name, counts, LEAST, what.key)
    chosen = (_chosen(found, what.text, n, seed) for found in by_split.values())
    return tuple(item for found in chosen for item in found)


@dataclass(frozen=True)
class Sampled:
    """What is sampled by split alone."""

    name: str
    key: str  # of params.yaml, that says how many
    text: Callable[[Any], str]  # whose hash decides


def _pair_text(pair: Pair) -> str:
    return "\0".join((pair.prompt, pair.chosen, pair.rejected))


PAIRS = Sampled("pairs", "datasets.pairs_per_split", _pair_text)
NEUTRAL = Sampled("neutral texts", "datasets.texts_per_split", lambda item: item.text)
TASKS = Sampled("questions", "datasets.tasks_per_split", lambda item: item.key)


def _hash(text: str, salt: bytes) -> int:
    return int.from_bytes(hashlib.sha256(salt + text.encode()).digest()[:8], "big")


def _chosen(items: list[T], text: Callable[[T], str], n: int, seed: int) -> list[T]:
    salt = f"{seed}\0".encode()
    return sorted(items, key=lambda item: (_hash(text(item), salt), text(item), repr(item)))[:n]


def _refuse(what: str, counts: Mapping[str, int], wanted: int, key: str) -> None:
    short = sorted(((n, cell) for cell, n in counts.items() if n < wanted))
    listed = "; ".join(f"{n} of {cell}" for n, cell in short[:4]) or "none at all"
    more = f" and {len(short) - 4} more cells below it" if len(short) > 4 else ""
    raise InputError(
        f"too few {what}",
        expected=f"at least {wanted} in each cell",
        got=listed + more,
        cure=f"give a larger data set, change datasets.shares, or raise {key}",
    )
