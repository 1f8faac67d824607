"""Crossed rows: with which small values is the phase run here, and which of its rows are some?"""

from __future__ import annotations

from typing import Any

from mahals.phases.cross_arch.measure import Params
from mahals.phases.cross_arch.rows import Row
from tests.support.tiny_lab import SUITE

PARAMS = Params(
    source="all",
    maps=("identity", "pad", "ridge", "procrustes"),
    method="mean_difference",
    layers="auto",
    layer_match="relative_depth",
    operator="add",
    controls=(),
    draws=2,
    scope="all",
    suite=SUITE,
)


def of(rows: list[Row], **wanted: Any) -> list[Row]:
    return [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]
