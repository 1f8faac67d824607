"""Rows of em_detection: what is known of one direction at one block?"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One contrast of two subjects along one direction, at one block."""

    model: str
    weights: str
    position: str  # answer: mean over the subject's own answer; prompt: its last token
    method: str
    block: int
    positive: str
    negative: str
    fitted: int  # prompts
    scored: int  # prompts of the other half
    dropped: int  # prompts without an answer of every subject
    separation: float  # on the scored half: mean projection of positive less negative
    separation_low: float
    separation_high: float
    in_sample: float | None  # the published form, on the fitted prompts; the fitted contrast alone
    auroc: float
    auroc_low: float
    auroc_high: float
    random_mean: float  # AUROC of random directions, each turned to its better side
    random_best: float
    random_directions: int
    shuffled_mean: float  # the same of directions from pairs of which half were exchanged
    shuffled_best: float
    shuffles: int
    cosine_to_other: float | None  # of this and the other adapter's direction, fitted contrast
    directions: str  # kept: (L, d) by method
    shuffled: str  # kept: (shuffles, L, d) by method
    direction: str  # kept: this method's, as a vector that can be registered
    projections: str  # kept: (subjects, L, n) by method
    table: str  # kept: generations with their projections
    card: str  # kept: dual use
