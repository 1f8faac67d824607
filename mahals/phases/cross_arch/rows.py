"""Rows of cross_arch: what is known of one arm of one target?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mahals.schema import ArmRow


@dataclass(frozen=True)
class Row(ArmRow):
    """One arm of one target at the headline dose."""

    target_role: Literal["base", "random"]  # `random`: a control, at a dose of its own
    shuffle: int | None  # which shuffled map; None for a true one
    r2_held_out: float | None  # of the map, last block; it does not predict transfer
    r2_linear: float | None  # of the linear part that moves the vector: differs for mlp alone
    map_rows: int | None
    map_fitted: int | None  # of these, rows that were fitted; the others give R2
    cka: float | None  # debiased linear, of the last two blocks that meet, on the mapping texts
    prompt_cka: float | None  # the same on the mapping prompts alone
    cosine_native: float | None  # cosine to the target's own vector, last steered block
    missed: tuple[str, ...]  # arms of the same task that could not be measured, and why
