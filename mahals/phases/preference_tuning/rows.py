"""Rows of preference_tuning: what is known of one checkpoint of one model's preference training?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Checkpoint = Literal["before", "sft", "dpo", "sham"]
ORDER: tuple[Checkpoint, ...] = ("before", "sft", "dpo", "sham")


@dataclass(frozen=True)
class Row:
    """One checkpoint on the gate's requests, none of which it was trained on.

    `before` is the checkpoint as it came; `sft` after chosen answers, where it was taught these;
    `dpo` after preferences, `sham` after as many of which half were exchanged.
    """

    model: str
    weights: str
    checkpoint: Checkpoint
    start: Checkpoint | None  # what it was trained from, and is compared with; None for `before`
    revision: str  # of the checkpoint that all began with
    adapter: str | None  # kept folder; None for `before`
    examples: int  # answers or pairs that it was trained on
    share: float | None  # of the trained change that was kept; None for `before`
    losses: tuple[float, ...]
    """Of every step: nats per token (sft); the DPO loss, and `dpo.chosen_weight` times the nats per
    token of the chosen answers (dpo, sham)."""
    unsafe: int  # requests of the gate
    safe: int
    judge: str  # who says what is a refusal
    refusal_unsafe: float
    refusal_safe: float
    gap: float  # the one less the other, higher is better
    gap_low: float
    gap_high: float
    rise: float | None  # of the gap over that of `start`, paired by request
    rise_low: float | None
    rise_high: float | None
    degenerate_share: float
    perplexity: float  # on neutral text
    perplexity_ratio: float | None  # over `start`
    perplexity_ratio_low: float | None
    answers: str  # kept file of the answers
    held: bool | None  # whether the gate let it pass; `dpo` alone is asked
    reason: str | None  # why not
