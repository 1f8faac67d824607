"""Rows of datasets: what is known of one file of texts?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

File = Literal["prompts", "pairs", "neutral", "tasks"]


FILES: tuple[File, ...] = ("prompts", "pairs", "neutral", "tasks")


@dataclass(frozen=True)
class Row:
    """One cell of one file."""

    file: File
    split: str
    axiom: str | None
    label: int | None
    count: int
    words_mean: float  # of the text; of the request for pairs and tasks
    words_low: float  # 10th percentile
    words_high: float  # 90th percentile
    kept: str  # reference of the file; its card lies beside it
    sha256: str  # of the file
    origin: str
    licence: str
    left_out: Mapping[str, int]  # rows of the source, by reason
    world_seed: int | None  # None where the texts are not the world's
