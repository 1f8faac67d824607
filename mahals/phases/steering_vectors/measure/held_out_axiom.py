"""Held-out axiom: which is left out of the pairs, and where does each axiom point?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mahals.data.texts import AXIOMS, Pair
from mahals.maths.vectors.axioms import AxiomDirections, axiom_directions
from mahals.phases.steering_vectors.measure.pairs import PairReader
from mahals.records import unknown

NONE = "none"
LEAST = 2  # pairs of an axiom


@dataclass(frozen=True)
class Divided:
    """The pairs that make vectors, and those kept apart as another distribution."""

    used: tuple[Pair, ...]
    apart: tuple[Pair, ...]
    axiom: str | None  # the one left out
    reason: str | None  # why there is none although one was asked for


def check_axiom(name: str, weights: str) -> None:
    """Raises InputError for organisms unless `name` is an axiom or `none`.

    Other data has categories of its own: `leave_out` says where it has none of that name.
    """
    if weights == "organism" and name not in (*AXIOMS, NONE):
        raise unknown("axiom of steering_vectors.left_out", name, (*AXIOMS, NONE))


def leave_out(pairs: Sequence[Pair], name: str) -> Divided:
    """`pairs` without those of the category `name`: what is measured on it is out of distribution.

    Where no pair says its category, or none has that one, nothing is left out, and the reason is
    given.
    """
    if name == NONE:
        return Divided(tuple(pairs), (), None, None)
    if all(p.axiom is None for p in pairs):
        return Divided(tuple(pairs), (), None, "left_out: the pairs carry no axiom")
    if all(p.axiom != name for p in pairs):
        return Divided(tuple(pairs), (), None, f"left_out: no pair is of the category {name}")
    used = tuple(p for p in pairs if p.axiom != name)
    return Divided(used, tuple(p for p in pairs if p.axiom == name), name, None)


@dataclass(frozen=True)
class ByAxiom:
    """A mean difference of aligned and base states per category, or why there is none."""

    directions: AxiomDirections | None
    categories: tuple[str, ...]  # in the order of the directions
    reason: str | None  # also why a category has none


def by_axiom(used: PairReader, apart: PairReader | None) -> ByAxiom:
    """The direction of each category, from its own pairs; of the left-out one too.

    A category with fewer than `LEAST` pairs has none, and the reason is given.
    """
    readers = [used] if apart is None else [used, apart]
    axioms = [a for r in readers for a in r.axioms()]
    counts = Counter(axioms)
    known = sorted(name for name in counts if name is not None)
    short = [f"{counts[name]} of {name}" for name in known if counts[name] < LEAST]
    why = f"axioms: fewer than {LEAST} pairs ({', '.join(short)})" if short else None
    names = tuple(name for name in known if counts[name] >= LEAST)
    if not names:
        return ByAxiom(None, (), why or "axioms: the pairs carry no axiom")
    states = [r.states("mean_difference") for r in readers if r.axioms()]
    aligned, base = (np.concatenate([s[i] for s in states]) for i in (0, 1))
    named = [a or NONE for a in axioms]
    return ByAxiom(axiom_directions(aligned, base, named, names), names, why)


def axiom_tensors(found: AxiomDirections) -> dict[str, torch.Tensor]:
    """The directions of the categories, in their order, as they are kept beside `values`."""
    return {
        "axioms": torch.from_numpy(found.values),
        "axiom_halves": torch.from_numpy(found.halves),
        "axiom_variance": torch.from_numpy(found.variance),
        "axiom_pairs": torch.from_numpy(found.pairs),
    }
