"""Rows of em_ablation: what is known of one arm of one model?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mahals.schema import NullFamily


@dataclass(frozen=True)
class Row:
    """One arm of one subject, asked the prompts that the direction was not fitted on."""

    model: str
    weights: str
    subject: str
    arm: Literal["none", "ablate", "weights", "induce"]
    family: NullFamily | None  # of null directions, treated as the arm; None: the direction itself
    draw: int | None  # which of its family
    level: float  # ablation: its strength; induction: the KL aimed at; nulls: their pair's
    strength: float | None  # of the arm's own operator
    blocks: tuple[int, ...]
    asked: int
    misaligned: int
    good: int
    incoherent: int
    unscored: int
    refused: int
    degenerate: int
    kl: float | None  # nats per token from the same model without the arm: the larger of the two
    kl_neutral: float | None  # on neutral text
    kl_chat: float | None  # on safe prompts in chat form
    perplexity_ratio: float | None
    safe_accuracy: float | None
    over_ceiling: tuple[str, ...]  # bounds of the suite's ceiling that the whole interval is beyond
    not_shown_safe: tuple[str, ...]  # bounds that the interval reaches beyond
    codes: str  # kept: outcomes per question
    codes_row: int
    answers: str  # kept: example answers with and without
    missed: tuple[str, ...]  # arms of the same task that could not be measured, and why
