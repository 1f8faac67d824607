"""Splits: in which one is a real text, and which texts of a split are measured?

Both are decided by hashes of the text, never by its place in the file: the same rows in another
order give the same study. A text's split does not depend on the seed, so that no other seed moves a
selection prompt into evaluation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

from mahals.data.texts import AXIOMS, NeutralText, Pair, Prompt
from mahals.records import InputError

T = TypeVar("T")
BUCKETS = 2**64


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


def split_of(key: str, shares: Shares) -> str:
    """The split of a key, by its SHA-256.

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
    place = _hash(key, b"") * sum(parts) // BUCKETS
    for name in shares.names:
        place -= getattr(shares, name)
        if place < 0:
            return name
    raise AssertionError("place is below the sum of the shares")


def sample_prompts(
    prompts: Iterable[Prompt], splits: Sequence[str], per_cell: int, seed: int
) -> tuple[Prompt, ...]:
    """`per_cell` prompts for each split, axiom and label, in that order.

    Raises InputError that lists the cells with too few prompts and their counts.
    """
    cells: dict[tuple[str, str, int], list[Prompt]] = {
        (s, a, n): [] for s in splits for a in AXIOMS for n in (1, 0)
    }
    for prompt in prompts:
        if prompt.split in splits:
            cells[(prompt.split, prompt.axiom, prompt.label)].append(prompt)
    short = {
        f"{s}, {a}, {'safe' if n else 'unsafe'}": len(found)
        for (s, a, n), found in cells.items()
        if len(found) < per_cell
    }
    _refuse_short("prompts", short, per_cell, "datasets.per_cell")
    chosen = (_chosen(found, lambda p: p.text, per_cell, seed) for found in cells.values())
    return tuple(prompt for found in chosen for prompt in found)


def sample_pairs(
    pairs: Iterable[Pair], splits: Sequence[str], n: int, seed: int
) -> tuple[Pair, ...]:
    """`n` pairs of each split. Raises InputError that lists the splits with too few."""
    by_split: dict[str, list[Pair]] = {s: [] for s in splits}
    for pair in pairs:
        if pair.split in splits:
            by_split[pair.split].append(pair)
    short = {s: len(found) for s, found in by_split.items() if len(found) < n}
    _refuse_short("pairs", short, n, "datasets.pairs_per_split")
    chosen = (_chosen(found, _pair_text, n, seed) for found in by_split.values())
    return tuple(pair for found in chosen for pair in found)


def sample_neutral(
    texts: Iterable[NeutralText], splits: Sequence[str], n: int, seed: int
) -> tuple[NeutralText, ...]:
    """`n` texts of each split. Raises InputError that lists the splits with too few."""
    by_split: dict[str, list[NeutralText]] = {s: [] for s in splits}
    for text in texts:
        if text.split in splits:
            by_split[text.split].append(text)
    short = {s: len(found) for s, found in by_split.items() if len(found) < n}
    _refuse_short("neutral texts", short, n, "datasets.texts_per_split")
    chosen = (_chosen(found, lambda t: t.text, n, seed) for found in by_split.values())
    return tuple(text for found in chosen for text in found)


def _hash(text: str, salt: bytes) -> int:
    return int.from_bytes(hashlib.sha256(salt + text.encode()).digest()[:8], "big")


def _pair_text(pair: Pair) -> str:
    return "\0".join((pair.prompt, pair.chosen, pair.rejected))


def _chosen(items: list[T], text: Callable[[T], str], n: int, seed: int) -> list[T]:
    salt = f"{seed}\0".encode()
    return sorted(items, key=lambda item: (_hash(text(item), salt), text(item)))[:n]


def _refuse_short(what: str, short: dict[str, int], wanted: int, key: str) -> None:
    if not short:
        return
    worst = sorted(short.items(), key=lambda item: item[1])
    listed = "; ".join(f"{count} of {cell}" for cell, count in worst[:4])
    more = f" and {len(worst) - 4} more cells below it" if len(worst) > 4 else ""
    raise InputError(
        f"too few {what}",
        expected=f"at least {wanted} in each cell",
        got=listed + more,
        cure=f"lower {key}, change datasets.shares, or give a larger data set",
    )
