"""Which directions are compared, block by block, and how strong is each one made?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from mahals.arms.bench import Bench
from mahals.arms.kinds import UNSTEERED, Label
from mahals.generation import dose_for_kl
from mahals.phase import Lab
from mahals.records import InputError
from mahals.steering import Arm, Step
from mahals.vectors import increments, random_like


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
            return Arm(name(self.label), ())
        return Arm(
            name(self.label),
            tuple(
                Step(block, vector, self.sign * strength, operator)
                for block, vector in sorted(self.vectors.items())
            ),
        )


def name(label: Label) -> str:
    """A short name of an arm for messages and generated tables."""
    parts = [label.arm, label.source, label.map, label.operator, label.placement]
    if label.draw is not None:
        parts.append(f"draw {label.draw}")
    return " ".join(p for p in parts if p)


def native_values(lab: Lab, key: str, method: str) -> torch.Tensor:
    """The (L, d) vectors of a model as the steering_vectors phase kept them.

    Raises InputError where that phase made none by `method`.
    """
    rows = [r for r in lab.rows("steering_vectors", key) if r.method == method]
    if not rows:
        made = sorted({r.method for r in lab.rows("steering_vectors", key)})
        raise InputError(
            "method",
            expected="one of " + ", ".join(made),
            got=repr(method),
            cure=f"add {method} to steering_vectors.methods",
        )
    return lab.kept("steering_vectors").tensors(rows[0].vectors)["values"].float()


def placed(
    values: torch.Tensor, blocks: Sequence[int], placement: Literal["raw", "increments"]
) -> dict[int, torch.Tensor]:
    """The vector of each block: `raw` v_l, or v_l minus that of the steered block before."""
    if placement == "raw":
        return {b: values[b].clone() for b in blocks}
    steps = increments(values.double().numpy(), tuple(blocks))
    return {b: torch.from_numpy(np.asarray(v)).float() for b, v in steps.items()}


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
            replace(label, arm="random", draw=k, source=None, map=None),
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


@dataclass(frozen=True)
class Dosed:
    """A direction at a strength; `label` holds the dose."""

    label: Label
    strength: float | None  # None: not steered
    arm: Arm


NOT_STEERED = Dosed(UNSTEERED, None, Arm("unsteered", ()))


def at_lambda(found: Sequence[Direction], strength: float) -> list[Dosed]:
    """All directions at one strength in units of their norms."""
    return [
        Dosed(replace(d.label, dose_kind="lambda", dose=strength), strength, d.at(strength))
        for d in found
    ]


def at_equal_kl(at: Bench, found: Sequence[Direction], target: float) -> list[Dosed]:
    """All directions at the strength where each moves neutral text by `target` nats per token.

    The strength is found on the calibration texts; the KL that is reported is that of others.
    """
    doses = dose_for_kl(at.loaded, at.calibration, [d.at for d in found], target)
    return [
        Dosed(replace(d.label, dose_kind="kl", dose=target), float(s), d.at(float(s)))
        for d, s in zip(found, doses.strengths, strict=True)
    ]


def cosine_to(own: torch.Tensor, direction: Direction) -> float:
    """Cosine of a direction to a model's own vectors (L, d), at the last steered block."""
    block = max(direction.vectors)
    moved = direction.sign * direction.vectors[block].double()
    return float(torch.nn.functional.cosine_similarity(moved, own[block].double(), dim=0))
