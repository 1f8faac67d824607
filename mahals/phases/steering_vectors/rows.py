"""Rows of steering_vectors: what is known of one method at one block?"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mahals.maths.vectors.axioms import AxiomDirections
from mahals.schema import Method, VectorRow


@dataclass(frozen=True)
class Row(VectorRow):
    """One method at one block."""


OF_MODELS: tuple[Method, ...] = ("mean_difference", "svd_k")  # aligned minus base, same texts


def axiom_tensors(found: AxiomDirections) -> dict[str, torch.Tensor]:
    """The directions of the axioms, in the order of AXIOMS, as they are kept beside `values`."""
    return {
        "axioms": torch.from_numpy(found.values),
        "axiom_halves": torch.from_numpy(found.halves),
        "axiom_variance": torch.from_numpy(found.variance),
        "axiom_pairs": torch.from_numpy(found.pairs),
    }
