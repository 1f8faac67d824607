"""Figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mahals.phase import Kept
from tests.support.toy_phases.grow.measure import Picture
from tests.support.toy_phases.grow.rows import Row


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Any]:
    return {"values": Picture(",".join(repr(row.value) for row in rows))}
