"""Row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    model: str
    position: int
    part: int
    value: float
    kept: str
