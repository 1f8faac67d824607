"""Rows of em_ablation: what is known of one arm of one model?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One arm of one subject, asked the prompts that the direction was not fitted on."""

    model: str
    weights: str
    subject: str
    arm: str  # none, ablate, random, weights, weights_random, induce, induce_random
    draw: int | None
    level: float  # ablation: its strength; induction: the KL aimed at; random ones: their pair's
    strength: float | None  # of the arm's own operator
    blocks: tuple[int, ...]
    asked: int
    misaligned: int
    good: int
    incoherent: int
    unscored: int
    refused: int
    degenerate: int
    kl: float | None
    perplexity_ratio: float | None
    safe_accuracy: float | None
    over_ceiling: tuple[str, ...]
    codes: str  # kept: outcomes per question
    codes_row: int
    answers: str  # kept: example answers with and without
    missed: tuple[str, ...]  # arms of the same task that could not be measured, and why
