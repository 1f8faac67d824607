"""Report."""

from __future__ import annotations

from collections.abc import Sequence

from mahals.phase import Kept, Summary
from tests.support.toy_phases.again.rows import Row


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    return Summary({f"{row.name}@{row.training}": row.value for row in rows}, (), (), ())
