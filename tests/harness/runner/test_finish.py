"""Finishing: do rows become numbers and figures, the same bytes each time?"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest


def test_a_study_leaves_rows_numbers_figures_and_nothing_else(reference: Path) -> None:
    grow = reference / "results/grow/A"
    rows = [json.loads(line) for line in (grow / "rows.jsonl").read_text().splitlines()]
    assert [(row["position"], row["part"]) for row in rows] == [
        (i, part) for i in range(4) for part in range(5)
    ]
    metrics = json.loads((grow / "metrics.json").read_text())
    assert metrics == {"rows": 20.0, "sum": pytest.approx(sum(row["value"] for row in rows))}
    assert (grow / "figures/values.png").read_bytes().startswith(b"png")
    assert (grow / "kept/values3/4.txt").is_file()
    assert (reference / "data/words.txt").read_text() == "word0\nword1\nword2"
    assert not list((reference / ".mahals").rglob("*.*"))  # no journal, lock or draft stays
    names = {path.name for path in reference.rglob("*")}
    assert not [name for name in names if name.endswith((".tmp", ".old"))]


def test_the_report_holds_every_sentence_and_every_figure(reference: Path) -> None:
    for folder in sorted(path.parent for path in reference.glob("results/*/*/summary.json")):
        told = json.loads((folder / "summary.json").read_text())
        report = (folder / "report.md").read_text()
        assert told["report"] == sha256(report.encode()).hexdigest()
        assert all(f"\n* {sentence}\n" in report for sentence in told["summary"]["lines"])
        assert report.startswith(f"# {folder.parent.name}, {folder.name}\n")
        files = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
        assert {n: sha256(body).hexdigest() for n, body in files.items()} == told["figures"]
        assert all(f"(figures/{name})" in report for name in files)


def test_a_figure_says_of_what_it_is(reference: Path) -> None:
    figures = reference / "results/grow/A/figures"
    assert sorted(path.suffix for path in figures.iterdir()) == [".pdf", ".png", ".svg"]
    for path in figures.iterdir():
        form, _, line = path.read_text().split("\n", 2)
        assert f".{form}" == path.suffix
        assert line == "organism weights (a declared positive\ncontrol)"
    told = json.loads((figures.parent / "summary.json").read_text())["provenance"]
    assert told == {"weights": "organism", "trainings": [], "suites": [], "models": ["A"]}
