"""Arms: which directions are compared, block by block, and how strong is each one made?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mahals.evaluation.native_vectors import Native, permuted, placed
from mahals.maths.vectors.random_directions import random_like
from mahals.models.steering.interventions import Arm, Intervention
from mahals.schema import Label, arm_title


@dataclass(frozen=True)
class Direction:
    """A vector for each steered block, with what it is; `sign` -1 steers the other way."""

    label: Label
    vectors: Mapping[int, torch.Tensor]  # block -> (d,) float32
    sign: float

    def at(self, strength: float) -> Arm:
        """The arm that steers with `strength` times the vectors, in units of their norms."""
        operator = self.label.operator
        if operator is None:
            return Arm(arm_title(self.label), ())
        return Arm(
            arm_title(self.label),
            tuple(
                Intervention(block, vector, self.sign * strength, operator)
                for block, vector in sorted(self.vectors.items())
            ),
        )


def own_label(own: Native, method: str, operator: str, blocks: Sequence[int]) -> Label:
    """The label of a model's own vector at these blocks, placed raw, without a dose."""
    return Label(
        arm="steered",
        source=own.model,
        method=method,
        operator=operator,
        placement="raw",
        layers=tuple(blocks),
        vector=own.mark,
        kept=own.kept,
    )


def directions(
    label: Label, vectors: Mapping[int, torch.Tensor], draws: int, seed: int
) -> list[Direction]:
    """The vector, its flip, and `draws` random directions of equal norm at every block.

    A draw is one direction for all steered blocks, as the vector nearly is: independent ones would
    add up more slowly over the blocks and make an easy control.
    """
    first = vectors[min(vectors)].double().numpy()
    drawn = {
        b: random_like(first, draws, seed) * float(v.double().norm() / np.linalg.norm(first))
        for b, v in sorted(vectors.items())
    }
    random = [
        Direction(
            replace(label, arm="random", draw=k, source=None, map=None, vector=None, kept=None),
            {b: torch.from_numpy(np.asarray(r[k])).float() for b, r in drawn.items()},
            1.0,
        )
        for k in range(draws)
    ]
    return [
        Direction(label, vectors, 1.0),
        Direction(replace(label, arm="flipped"), vectors, -1.0),
        *random,
    ]


def own_controls(label: Label, own: Native, vectors: Mapping[int, torch.Tensor]) -> list[Direction]:
    """The vectors of shuffled pairs, and the vector's layers permuted; norms as the vector's.

    `vectors` are the placed ones of `label`. None of shuffled pairs where none were kept, none
    permuted in a model of one block.
    """
    draws = [] if own.shuffled is None else list(own.shuffled)
    found = [
        Direction(
            replace(label, arm="shuffled_pairs", draw=k),
            _with_norms(placed(values, sorted(vectors), label.placement), vectors),
            1.0,
        )
        for k, values in enumerate(draws)
    ]
    if len(own.values) > 1:
        other = _with_norms(permuted(own.values, vectors), vectors)
        found.append(Direction(replace(label, arm="permuted_layers"), other, 1.0))
    return found


def _with_norms(
    found: Mapping[int, torch.Tensor], like: Mapping[int, torch.Tensor]
) -> dict[int, torch.Tensor]:
    return {
        b: (v.double() * (like[b].double().norm() / v.double().norm())).float()
        for b, v in found.items()
    }


def by_axiom_arms(label: Label, own: Native, blocks: Sequence[int]) -> list[Direction]:
    """The vector of each axiom's pairs, in the order of AXIOMS; empty where none were kept.

    `draw` of the label is the axiom's place in AXIOMS.
    """
    values = [] if own.axioms is None else list(own.axioms)
    return [
        Direction(replace(label, draw=i), placed(v, blocks, label.placement), 1.0)
        for i, v in enumerate(values)
    ]


def as_long_as(found: Sequence[Direction], norms: Sequence[float]) -> list[Direction]:
    """The directions with the length norms[l] at each block l (`norms` of all blocks, (L,))."""
    return [
        replace(
            d,
            vectors={
                b: (v.double() * (norms[b] / v.double().norm())).float()
                for b, v in d.vectors.items()
            },
        )
        for d in found
    ]


def cosine_to(own: torch.Tensor, direction: Direction) -> float:
    """Cosine of a direction to a model's own vectors (L, d), at the last steered block."""
    block = max(direction.vectors)
    moved = direction.sign * direction.vectors[block].double()
    return float(torch.nn.functional.cosine_similarity(moved, own[block].double(), dim=0))
