"""Which directions are compared, block by block, and how strong is each one made?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from mahals.evaluation.bench import Bench
from mahals.evaluation.suite import UNSTEERED, DoseKind, Label
from mahals.maths.vectors.controls import random_like
from mahals.maths.vectors.placement import increments
from mahals.models.generation.dose import dose_for_kl
from mahals.models.steering.interventions import Arm, Step
from mahals.phase import Lab
from mahals.records import InputError


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


@dataclass(frozen=True)
class Native:
    """A model's own vectors as the steering_vectors phase kept them; row l belongs to block l."""

    values: torch.Tensor  # (L, d)
    shuffled: torch.Tensor | None  # (S, L, d) from pairs with shuffled sides
    axioms: torch.Tensor | None  # (7, L, d) of the pairs of each axiom, in the order of AXIOMS
    left_out: str | None  # the axiom whose pairs were left out of `values`
    state_norm: tuple[float, ...]  # mean length of the base's states at each block, (L,)
    mark: str  # 12 hexadecimal digits over `values`
    kept: str  # "steering_vectors:<unit>/<name>"


def native(lab: Lab, key: str, method: str) -> Native:
    """The vectors of a model by `method`.

    Raises InputError where the steering_vectors phase made none by it.
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
    tensors = lab.kept("steering_vectors").tensors(rows[0].vectors)
    values = tensors["values"].float().contiguous()
    content = f"{tuple(values.shape)}".encode() + values.numpy().tobytes()
    return Native(
        values=values,
        shuffled=tensors["shuffled"].float() if "shuffled" in tensors else None,
        axioms=tensors["axioms"].float() if "axioms" in tensors else None,
        left_out=rows[0].left_out,
        state_norm=tuple(r.state_norm for r in sorted(rows, key=lambda r: r.block)),
        mark=hashlib.sha256(content).hexdigest()[:12],
        kept=f"steering_vectors:{rows[0].vectors}",
    )


def placed(
    values: torch.Tensor, blocks: Sequence[int], placement: str | None
) -> dict[int, torch.Tensor]:
    """The vector of each block: v_l, or with `increments` v_l minus that of the block before."""
    if placement != "increments":
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


def permuted(values: torch.Tensor, vectors: Mapping[int, torch.Tensor]) -> dict[int, torch.Tensor]:
    """At each steered block the vector of another one.

    Several blocks exchange theirs by half a turn (a derangement; no vector stays); one block gets
    the vector of the block farthest from it in depth, of `values` (L, d).
    """
    blocks = sorted(vectors)
    if len(blocks) == 1:
        far = max(range(len(values)), key=lambda b: (abs(b - blocks[0]), b))
        return {blocks[0]: values[far]}
    turn = len(blocks) // 2
    return {b: vectors[blocks[(i + turn) % len(blocks)]] for i, b in enumerate(blocks)}


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


@dataclass(frozen=True)
class Dosed:
    """A direction at a strength; `label` holds the dose."""

    label: Label
    strength: float | None  # None: not steered
    arm: Arm


NOT_STEERED = Dosed(UNSTEERED, None, Arm("unsteered", ()))


def at_lambda(
    found: Sequence[Direction], strength: float, kind: DoseKind = "lambda"
) -> list[Dosed]:
    """All directions at one strength in units of their norms; `kind` says what these are."""
    return [
        Dosed(replace(d.label, dose_kind=kind, dose=strength), strength, d.at(strength))
        for d in found
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


@dataclass(frozen=True)
class Reached:
    """The directions that a strength takes to a dose, and why the others have none."""

    dosed: tuple[Dosed, ...]
    missed: tuple[str, ...]  # one sentence each


def within_reach(at: Bench, found: Sequence[Direction], target: float) -> Reached:
    """Each direction at the strength where it moves neutral text by `target` nats per token.

    The strength is found on the calibration texts; the KL that is reported is that of others.
    """
    return at_doses(found, doses_at(at, found, target), target)


@dataclass(frozen=True)
class Dose:
    """The strength at which a direction has its dose; None, and why, where none has it."""

    strength: float | None
    missed: str | None


def doses_at(at: Bench, found: Sequence[Direction], target: float) -> list[Dose]:
    """The dose of each direction, on the calibration texts."""
    if not found:
        return []
    doses = dose_for_kl(at.loaded, at.calibration, [d.at for d in found], target)
    return [Dose(*each) for each in zip(doses.strengths, doses.missed, strict=True)]


def at_doses(found: Sequence[Direction], doses: Sequence[Dose], target: float) -> Reached:
    """Each direction at its dose of `target` nats per token."""
    dosed, missed = [], []
    for d, dose in zip(found, doses, strict=True):
        if dose.strength is None:
            missed.append(f"{name(d.label)} at kl={target:g}: not measured, {dose.missed}")
        else:
            label = replace(d.label, dose_kind="kl", dose=target)
            dosed.append(Dosed(label, dose.strength, d.at(dose.strength)))
    return Reached(tuple(dosed), tuple(missed))


def cosine_to(own: torch.Tensor, direction: Direction) -> float:
    """Cosine of a direction to a model's own vectors (L, d), at the last steered block."""
    block = max(direction.vectors)
    moved = direction.sign * direction.vectors[block].double()
    return float(torch.nn.functional.cosine_similarity(moved, own[block].double(), dim=0))
