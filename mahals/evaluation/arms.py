"""Arms: which directions are compared, block by block, and how strong is each one made?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mahals.evaluation.native_vectors import Native, permuted, placed
from mahals.maths.vectors.random_directions import random_like
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.scope import ALL
from mahals.records import InputError
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
                Intervention(block, vector, self.sign * strength, operator, self.label.scope or ALL)
                for block, vector in sorted(self.vectors.items())
            ),
        )


def own_label(own: Native, operator: str, blocks: Sequence[int]) -> Label:
    """The label of a model's own vector at these blocks and all tokens, placed raw; no dose."""
    return Label(
        arm="steered",
        source=own.model,
        method=own.method,
        operator=operator,
        placement="raw",
        scope=ALL,
        layers=tuple(blocks),
        vector=own.mark,
        kept=own.kept,
    )


def crossed_label(label: Label, theirs: Native) -> Label:
    """The label of another model's vector in the place of a model's own; its map is not yet in."""
    return replace(
        label, source=theirs.model, method=theirs.method, vector=theirs.mark, kept=theirs.kept
    )


def own_and_flipped(label: Label, vectors: Mapping[int, torch.Tensor]) -> list[Direction]:
    """The vector, and its flip."""
    return [
        Direction(label, vectors, 1.0),
        Direction(replace(label, arm="flipped"), vectors, -1.0),
    ]


def isotropic(
    label: Label, vectors: Mapping[int, torch.Tensor], draws: int, seed: int
) -> list[Direction]:
    """`draws` random directions, at every block as long as the vector there.

    A draw is one direction for all steered blocks, as the vector nearly is: independent ones would
    add up more slowly over the blocks and make an easy control.
    """
    first = vectors[min(vectors)].double().numpy()
    drawn = {
        b: random_like(first, draws, seed) * float(v.double().norm() / np.linalg.norm(first))
        for b, v in sorted(vectors.items())
    }
    return [
        Direction(
            replace(_of_target(label), arm="random", draw=k),
            {b: torch.from_numpy(np.asarray(r[k])).float() for b, r in drawn.items()},
            1.0,
        )
        for k in range(draws)
    ]


def from_shuffled_pairs(
    label: Label, own: Native, vectors: Mapping[int, torch.Tensor], draws: int
) -> list[Direction]:
    """The first `draws` vectors of shuffled pairs, at every block as long as the vector there.

    Raises InputError where fewer were kept.
    """
    kept = 0 if own.shuffled is None else len(own.shuffled)
    if own.shuffled is None or kept < draws:
        raise InputError(
            "steering_vectors.shuffles",
            expected=f"{draws} or more: so many null arms of shuffled pairs are asked for",
            got=str(kept),
            cure="raise steering_vectors.shuffles, or ask for fewer null arms",
        )
    blocks = sorted(vectors)
    return [
        Direction(
            replace(_of_target(label), arm="shuffled_pairs", draw=k),
            _with_norms(placed(own.shuffled[k], blocks, label.placement), vectors),
            1.0,
        )
        for k in range(draws)
    ]


def null_directions(
    label: Label, own: Native, vectors: Mapping[int, torch.Tensor], draws: int, seed: int
) -> list[Direction]:
    """Both families of nulls of a model's own vector, `draws` of each (METHOD 2: controls).

    Isotropic directions, and the directions of shuffled pairs: made by the whole pipeline from data
    that tell nothing. They belong to the target, blocks and dose, and all its arms share them.
    """
    return [
        *isotropic(label, vectors, draws, seed),
        *from_shuffled_pairs(label, own, vectors, draws),
    ]


def _of_target(label: Label) -> Label:
    """The label of an arm that belongs to the target alone, whatever vector it controls."""
    return replace(label, source=None, map=None, vector=None, kept=None, source_layers=None)


def permuted_layers(
    label: Label, own: Native, vectors: Mapping[int, torch.Tensor]
) -> list[Direction]:
    """The vector's layers permuted, norms as the vector's; none in a model of one block."""
    if len(own.values) < 2:
        return []
    other = _with_norms(permuted(own.values, vectors), vectors)
    return [Direction(replace(label, arm="permuted_layers"), other, 1.0)]


def _with_norms(
    found: Mapping[int, torch.Tensor], like: Mapping[int, torch.Tensor]
) -> dict[int, torch.Tensor]:
    return {
        b: (v.double() * (like[b].double().norm() / v.double().norm())).float()
        for b, v in found.items()
    }


def by_axiom_arms(label: Label, own: Native, categories: Sequence[str]) -> list[Direction]:
    """The vector of the pairs of each of `categories`, in their order, where one was kept.

    At the blocks of the label, whose `draw` is the place in `categories`.
    """
    values = {} if own.axioms is None else dict(zip(own.categories, own.axioms, strict=True))
    return [
        Direction(replace(label, draw=i), placed(values[c], label.layers, label.placement), 1.0)
        for i, c in enumerate(categories)
        if c in values
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
