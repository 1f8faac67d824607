"""Results: are they typed, and is one that is not whole ever taken?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import all_results, find
from mahals.harness.workspace.telling import is_told
from mahals.phase import STUDY
from tests.support import toy_study as toy
from tests.support.toy_runs import mark_of


def test_results_are_typed_and_whole(done: Workspace) -> None:
    results = {(r.phase, r.unit): r for r in all_results(done)}
    assert set(results) == {("words", STUDY), ("grow", "A"), ("grow", "B"), ("grow", STUDY)}
    grow = results["grow", "A"]
    rows = grow.rows()
    assert rows[0] == type(rows[0])("A", 0, 0, rows[0].value, "A/values0")
    assert grow.summary().metrics == grow.metrics()
    assert [path.name for path in grow.figures()] == ["values.png"]
    assert grow.is_canonical and grow.broken() is None and is_told(grow)
    gathered = results["grow", STUDY]
    assert gathered.is_gather and gathered.rows() == () and gathered.broken() is None
    assert results["words", STUDY].kept().folder == done.root / "data"


@pytest.mark.parametrize(
    ("file", "body"),
    [
        ("results/grow/A/rows.jsonl", "{}\n"),
        ("results/grow/A/kept/values1/2.txt", "0.5"),
        ("results/grow/A/kept/values1/2.txt", None),
        ("results/grow/A/run.json", None),
    ],
)
def test_broken_results_are_not_found(file: str, body: str | None, tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    toy.run(workspace, "grow")
    assert find(workspace, "grow", "A", mark_of(workspace, "grow", "A")) is not None
    if body is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(body)
    assert find(workspace, "grow", "A", mark_of(workspace, "grow", "A")) is None
