"""Rows of layer_sweep: what is known of one arm at one block, on the selection split?"""

from __future__ import annotations

from dataclasses import dataclass

from mahals.schema import ArmRow


@dataclass(frozen=True)
class Row(ArmRow):
    """One arm at one block, measured on the selection split: what is chosen here is no finding."""

    depth: float | None  # relative, (block + 1) / blocks; None for the unsteered model
    missed: tuple[str, ...]  # arms of the same block that could not be measured, and why
