"""Rows of organisms: what is known of one stage of one model's training?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mahals.schema import StageReport


@dataclass(frozen=True)
class Row(StageReport):
    """One checkpoint of one organism, examined on the selection split."""

    model: str
    folder: str  # reference of the kept checkpoint


def models_of(rows: Sequence[Row]) -> list[str]:
    """The models of the rows, each once, in the order of the rows."""
    return list(dict.fromkeys(r.model for r in rows))
