"""Report."""

from __future__ import annotations

from collections.abc import Sequence

from mahals.phase import Kept, Summary
from tests.support.toy_phases.grow.rows import Row


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    read = [float((kept.path(row.kept) / f"{row.part}.txt").read_text().split()[0]) for row in rows]
    assert read == [row.value for row in rows]
    return Summary({"sum": sum(read), "rows": float(len(rows))}, ("Numbers grow.",), (), ())
