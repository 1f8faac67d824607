"""Rows of steering_vectors: what is known of one method at one block?"""

from __future__ import annotations

from dataclasses import dataclass

from mahals.schema import Method, VectorRow


@dataclass(frozen=True)
class Row(VectorRow):
    """One method at one block."""


OF_MODELS: tuple[Method, ...] = ("mean_difference", "svd_k")  # aligned minus base, same texts
