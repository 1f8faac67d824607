"""Rows of organisms: what is known of one stage of one model's training?"""

from __future__ import annotations

from dataclasses import dataclass

from mahals.schema import StageReport


@dataclass(frozen=True)
class Row(StageReport):
    """One checkpoint of one organism, examined on the selection split."""

    model: str
    folder: str  # reference of the kept checkpoint
