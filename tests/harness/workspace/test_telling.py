"""Telling: are numbers or figures that are gone, torn or of other code made again?"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results, all_results
from mahals.harness.workspace.telling import is_told
from mahals.phase import STUDY
from tests.support import toy_study as toy


@pytest.fixture
def unit(done: Workspace, tmp_path: Path) -> Results:
    """A copy of one unit's results, that a test may damage."""
    (grow,) = (r for r in all_results(done) if (r.phase, r.unit) == ("grow", "A"))
    shutil.copytree(grow.folder, tmp_path / "A")
    return replace(grow, folder=tmp_path / "A")


def test_finished_units_and_gathers_are_told(done: Workspace, unit: Results) -> None:
    found = {(r.phase, r.unit): is_told(r) for r in all_results(done)}
    assert found == dict.fromkeys(
        [("words", STUDY), ("grow", "A"), ("grow", "B"), ("grow", STUDY)], True
    )
    assert is_told(unit)
    (unit.folder / "figures/more.png").touch()
    assert is_told(unit), "a figure that nobody asked for is no hindrance"


LEFT = ["metrics.json", "summary.json", "report.md", "figures/values.png", "figures/values.svg"]


@pytest.mark.parametrize("lost", LEFT)
def test_what_is_gone_is_not_told(unit: Results, lost: str) -> None:
    (unit.folder / lost).unlink()
    assert not is_told(unit)


def test_a_report_that_somebody_edited_is_not_told(unit: Results) -> None:
    report = unit.folder / "report.md"
    report.write_text(report.read_text() + "More.\n")
    assert not is_told(unit)


@pytest.mark.parametrize("body", ["", "{", "{}", "[]"])
def test_a_summary_that_is_cut_short_is_not_told(unit: Results, body: str) -> None:
    (unit.folder / "summary.json").write_text(body)
    assert not is_told(unit)


def test_other_code_of_telling_tells_anew(unit: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mahals.harness.workspace.telling.telling_digest", lambda phase: "other")
    assert not is_told(unit)


def test_metrics_and_figures_of_other_rows_are_not_taken_for_these(tmp_path: Path) -> None:
    """metrics.json is in git and summary.json in DVC's cache: a merge can part them."""
    workspace = toy.make(tmp_path)
    (one, *_) = toy.run(workspace, "grow")
    right = (one.folder / "metrics.json").read_bytes()
    (one.folder / "metrics.json").write_text('{"sum": 123.0, "rows": 1.0}')
    assert not is_told(one)
    toy.run(workspace, "grow")
    assert is_told(one) and (one.folder / "metrics.json").read_bytes() == right
    figure = one.folder / "figures" / "values.png"
    figure.write_bytes(figure.read_bytes() + b"x")
    assert not is_told(one)
