"""Native vectors: which vectors did the steering_vectors phase keep for a model, placed where?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch

from mahals.maths.vectors.placement import increments
from mahals.phase import Lab
from mahals.records import Among, InputError
from mahals.schema import OF_MODELS

MethodName = Annotated[str, Among("steering_vectors.methods")]
"""The type of a setting that names the kind of vector that steers."""


@dataclass(frozen=True)
class Native:
    """A model's own vectors as the steering_vectors phase kept them; row l belongs to block l."""

    model: str
    method: str  # of `values`
    values: torch.Tensor  # (L, d)
    shuffled: torch.Tensor | None  # (S, L, d) from pairs with shuffled sides
    axioms: torch.Tensor | None  # (C, L, d) of the pairs of each of `categories`
    categories: tuple[str, ...]  # () where there are none
    left_out: str | None  # the category whose pairs were left out of `values`
    state_norm: tuple[float, ...]  # mean length of the base's states at each block, (L,)
    mark: str  # 12 hexadecimal digits over `values`
    kept: str  # "steering_vectors:<unit>/<name>"


def native(lab: Lab, key: str, method: str, single: str) -> Native:
    """The vectors of a model by `method`; by `single` where it has no pair that `method` compares.

    Raises InputError where the steering_vectors phase made none by it.
    """
    if method in OF_MODELS and lab.single(key) is not None:
        method = single
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
        model=key,
        method=method,
        values=values,
        shuffled=tensors["shuffled"].float() if "shuffled" in tensors else None,
        axioms=tensors["axioms"].float() if "axioms" in tensors else None,
        categories=rows[0].categories,
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
