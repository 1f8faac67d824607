"""Null arms: which families has a claim to beat, and at which dose does each direction do best?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from mahals.schema import NULLS, ArmRow, NullFamily

A = TypeVar("A", bound=ArmRow)


def families_of(row: ArmRow) -> tuple[NullFamily, ...]:
    """The families of nulls that a row has to beat; the last one is made as its vector is."""
    return ("random", "shuffled_pairs") if row.map is None else NULLS


def dose_key(row: ArmRow) -> tuple[object, ...]:
    """What a row shares with its random controls; the dose is the last of it."""
    where = (row.placement, row.layers, row.scope)
    return (row.target, row.operator, *where, row.dose_kind, row.dose)


def at_their_best(arms: Sequence[A], number: Callable[[ArmRow], float]) -> list[A]:
    """Of each null direction the arm whose `number` is highest; the first one of equal ones."""
    best: dict[tuple[object, ...], A] = {}
    for r in arms:
        direction = r.source, r.map, r.draw
        known = best.get(direction)
        if known is None or number(r) > number(known):
            best[direction] = r
    return list(best.values())
