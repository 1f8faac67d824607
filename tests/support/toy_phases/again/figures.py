"""Figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mahals.phase import Kept
from tests.support.toy_phases.again.rows import Row


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Any]:
    return {}
