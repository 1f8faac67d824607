"""Finishing: do rows become numbers and figures, the same bytes each time?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mahals.reporting.plots.sheet import png


def test_a_study_leaves_rows_numbers_figures_and_nothing_else(reference: Path) -> None:
    grow = reference / "results/grow/A"
    rows = [json.loads(line) for line in (grow / "rows.jsonl").read_text().splitlines()]
    assert [(row["position"], row["part"]) for row in rows] == [
        (i, part) for i in range(4) for part in range(5)
    ]
    metrics = json.loads((grow / "metrics.json").read_text())
    assert metrics == {"rows": 20.0, "sum": pytest.approx(sum(row["value"] for row in rows))}
    assert (grow / "figures/values.png").read_bytes().startswith(b"\x89PNG")
    assert (grow / "kept/values3/4.txt").is_file()
    assert (reference / "data/words.txt").read_text() == "word0\nword1\nword2"
    assert not list((reference / ".mahals").rglob("*.*"))  # no journal, lock or draft stays
    names = {path.name for path in reference.rglob("*")}
    assert not [name for name in names if name.endswith((".tmp", ".old"))]


def test_a_figure_is_the_same_bytes_each_time() -> None:
    from matplotlib.figure import Figure

    def drawn(values: list[float]) -> bytes:
        figure = Figure(figsize=(2, 1))
        figure.add_subplot().plot(values)
        return png(figure)

    assert drawn([1, 2]) == drawn([1, 2]) != drawn([2, 1])
    assert drawn([1, 2]).startswith(b"\x89PNG")
