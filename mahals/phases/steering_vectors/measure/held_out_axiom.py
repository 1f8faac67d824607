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


def check_axiom(name: str) -> None:
    """Raises InputError unless `name` is an axiom or `none`."""
    if name not in (*AXIOMS, NONE):
        raise unknown("axiom of steering_vectors.left_out", name, (*AXIOMS, NONE))


def leave_out(pairs: Sequence[Pair], name: str) -> Divided:
    """`pairs` without those of the axiom `name`: what is measured on it is out of distribution.

    Where no pair says its axiom nothing is left out, and the reason is given.
    """
    check_axiom(name)
    if name == NONE:
        return Divided(tuple(pairs), (), None, None)
    if all(p.axiom is None for p in pairs):
        return Divided(tuple(pairs), (), None, "left_out: the pairs carry no axiom")
    used = tuple(p for p in pairs if p.axiom != name)
    return Divided(used, tuple(p for p in pairs if p.axiom == name), name, None)


@dataclass(frozen=True)
class ByAxiom:
    """A mean difference of aligned and base states per axiom, or why there is none."""

    directions: AxiomDirections | None
    reason: str | None


def by_axiom(used: PairReader, apart: PairReader | None) -> ByAxiom:
    """The direction of each axiom, from its own pairs; of the left-out one too."""
    readers = [used] if apart is None else [used, apart]
    axioms = [a for r in readers for a in r.axioms()]
    counts = Counter(axioms)
    short = [f"{counts[name]} of {name}" for name in AXIOMS if counts[name] < LEAST]
    if not counts.keys() & set(AXIOMS):
        return ByAxiom(None, "axioms: the pairs carry no axiom")
    if short:
        return ByAxiom(None, f"axioms: fewer than {LEAST} pairs ({', '.join(short)})")
    states = [r.states("mean_difference") for r in readers if r.axioms()]
    aligned, base = (np.concatenate([s[i] for s in states]) for i in (0, 1))
    named = [a or NONE for a in axioms]
    return ByAxiom(axiom_directions(aligned, base, named, AXIOMS), None)


def axiom_tensors(found: AxiomDirections) -> dict[str, torch.Tensor]:
    """The directions of the axioms, in the order of AXIOMS, as they are kept beside `values`."""
    return {
        "axioms": torch.from_numpy(found.values),
        "axiom_halves": torch.from_numpy(found.halves),
        "axiom_variance": torch.from_numpy(found.variance),
        "axiom_pairs": torch.from_numpy(found.pairs),
    }
