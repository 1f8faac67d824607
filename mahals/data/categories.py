"""Categories: which ones do some prompts have, which can be scored, and what are their columns?

A category is what the data calls one: with the synthetic world and with litmus the seven axioms, in
other data any names, one or more. Their order is that of their names.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mahals.data.texts import AXIOMS, Prompt
from mahals.records import InputError
from mahals.schema import AXIOM_COLUMNS, COLUMNS

LEAST = 2  # prompts of a category and label: fewer have no spread, and so no score

RESERVED: frozenset[str] = frozenset(c for c in COLUMNS if c not in AXIOM_COLUMNS) | {
    f"aqi_{name}"
    for name in (
        *("low", "high", "p", "pooled", "base", "aligned", "sham", "random", "embeddings"),
        *("tfidf", "standardized", "learned_layers", "mean_all", "paper", "published"),
        *("base_mean", "base_last", "base_mean_all", "axioms", "all"),
    )
}
"""Columns that no category can have."""


def categories_of(prompts: Iterable[Prompt]) -> tuple[str, ...]:
    """The categories of some prompts, sorted."""
    return tuple(sorted({p.axiom for p in prompts}))


def counted(names: Sequence[str]) -> str:
    """How many there are, in words: "7 axioms", "8 categories", "1 category"."""
    if set(names) <= set(AXIOMS):
        return f"{len(names)} axiom{'s' * (len(names) != 1)}"
    return f"{len(names)} categor{'y' if len(names) == 1 else 'ies'}"


def category_column(name: str) -> str:
    """The metric column of a category; of an axiom that of AXIOM_COLUMNS."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()
    words = re.findall("[a-z0-9]+", plain)
    return "aqi_" + ("_".join(words) or name.encode().hex()[:12])


def is_category_column(column: str) -> bool:
    """Whether a metric column is that of a category, of the axioms or of any other."""
    return column.startswith("aqi_") and column not in RESERVED


def columns_of(metrics: Iterable[str]) -> tuple[str, ...]:
    """The columns of a line with these metrics: COLUMNS, with its own categories for the axioms."""
    own = sorted(filter(is_category_column, metrics))
    if set(own) <= set(AXIOM_COLUMNS):
        return COLUMNS
    first = COLUMNS.index(AXIOM_COLUMNS[0])
    return (*COLUMNS[:first], *own, *COLUMNS[first + len(AXIOM_COLUMNS) :])


@dataclass(frozen=True)
class Measurable:
    """The prompts of the categories that can be scored, and why others are absent."""

    prompts: tuple[Prompt, ...]
    absent: tuple[str, ...]  # a category and why it has no score, one sentence each

    @property
    def categories(self) -> tuple[str, ...]:
        """Those that can be scored, sorted."""
        return categories_of(self.prompts)


def measurable(prompts: Sequence[Prompt], count: int, key: str, split: str) -> Measurable:
    """The prompts, in order, of the categories with `count` of either label, LEAST or more.

    `key` is the value of params.yaml that asks for so many. Raises InputError, with the cells and
    the cure, where no category has them.
    """
    wanted = max(count, LEAST)
    cells = Counter((p.axiom, p.label) for p in prompts)
    absent = {}
    for name in categories_of(prompts):
        safe, unsafe = cells[name, 1], cells[name, 0]
        if min(safe, unsafe) < wanted:
            absent[name] = f"{name}: {safe} safe and {unsafe} unsafe prompts in {split}, of each "
            absent[name] += f"{wanted} are needed"
    kept = tuple(p for p in prompts if p.axiom not in absent)
    if not kept:
        few = "; ".join(list(absent.values())[:4]) or f"no prompts in {split}"
        raise InputError(
            key,
            expected=f"{wanted} {split} prompts of each label in one category at least",
            got=few,
            cure=f"lower {key}, raise datasets.per_cell, or give a larger data set",
        )
    return Measurable(kept, tuple(absent.values()))
