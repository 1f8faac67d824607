"""Layer match: which block of one model stands where a block of another does?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy.typing as npt

from mahals.maths.transfer.cka import debiased_cka
from mahals.records import InputError

LayerMatch = Literal["relative_depth", "cka"]


def match_layer(block: int, source_layers: int, target_layers: int) -> int:
    """The target block (from 0) nearest in relative depth; the lower one on a tie.

    The relative depth of block l of L is (l + 1) / L: the share of the model behind it, so that
    last meets last. Raises InputError for a block outside the source.
    """
    if not (0 <= block < source_layers and target_layers >= 1):
        raise _outside(block, source_layers, f", {target_layers} target blocks")
    # compare |(t + 1) / L_t - (s + 1) / L_s| in whole numbers: ties are exact
    depth = (block + 1) * target_layers
    return min(range(target_layers), key=lambda t: (abs((t + 1) * source_layers - depth), t))


def farthest_layer(block: int, layers: int) -> int:
    """The block of the same model farthest in depth from `block`; the lower one on a tie.

    Raises InputError for a block outside the model, or a model with one block.
    """
    if not 0 <= block < layers or layers < 2:
        raise _outside(block, layers, f" of {layers}")
    return max(range(layers), key=lambda b: (abs(b - block), -b))


@dataclass(frozen=True)
class CkaMatch:
    """The block that was chosen, and how alike each candidate is; higher is more alike."""

    block: int
    cka: tuple[float, ...]  # debiased linear CKA of each candidate, in their order


def match_by_cka(candidates: Sequence[npt.ArrayLike], target: npt.ArrayLike) -> CkaMatch:
    """The candidate block most like `target` by debiased linear CKA, and the CKA of each.

    `candidates` are states (n, d_s) of every block of a model, `target` (n, d_t) those of one
    block of another, on the same n texts. The lower block on a tie. Raises InputError as
    `debiased_cka` does, and for no candidate.
    """
    if not candidates:
        raise InputError(
            "blocks to match", expected="one or more", got="none", cure="read the source's blocks"
        )
    found = tuple(debiased_cka(states, target) for states in candidates)
    return CkaMatch(max(range(len(found)), key=lambda b: (found[b], -b)), found)


def _outside(block: int, layers: int, more: str) -> InputError:
    return InputError(
        "block",
        expected=f"0 to {layers - 1}, and models with blocks to choose from",
        got=f"{block}{more}",
        cure="see `mahals models` for the depth of each",
    )
