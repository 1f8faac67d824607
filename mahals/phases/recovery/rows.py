"""Rows of recovery: what is known of one arm of one state of a model?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mahals.schema import ArmRow


@dataclass(frozen=True)
class Row(ArmRow):
    """One arm of one state of a model: as it was, or after some steps of fine-tuning."""

    state: Literal["original", "control", "dealigned"]
    steps: int  # of fine-tuning; 0 for the original
    adapter: str | None  # kept folder of the adapter; None for the original
    loss: float | None  # nats per answer token at the end of the fine-tuning
    original: Literal["aligned", "base"]  # which checkpoint was fine-tuned
    revision: str  # of that checkpoint
    threshold: float  # share of the drop that counts as recovered
    cosine_native: float | None  # to the model's own vector, last steered block; steered arms only
    missed: tuple[str, ...]  # arms that could not be measured, and why


NEGATED = "dealignment"  # the method of the direction from the original to the dealigned model
