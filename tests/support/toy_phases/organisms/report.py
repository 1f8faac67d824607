"""Report."""

from __future__ import annotations

from collections.abc import Sequence

from mahals.phase import Kept, Summary
from tests.support.toy_phases.organisms.rows import Row


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    return Summary({f"{row.model}/number": row.value for row in rows}, (), (), ())
