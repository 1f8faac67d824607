"""Rows of steering_vectors: what is known of one method at one block?"""

from __future__ import annotations

from dataclasses import dataclass

from mahals.schema import VectorRow


@dataclass(frozen=True)
class Row(VectorRow):
    """One method at one block."""
