"""Lookahead: does an idle worker measure ahead, and disturb nothing?"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mahals.harness.engines.process import TaskError
from mahals.harness.runner.journal import Journal
from mahals.harness.runner.progress import Session
from mahals.harness.runner.study import run_study
from mahals.harness.workspace.results import Results
from mahals.harness.workspace.telling import is_told
from mahals.phases.registry import STUDIES
from mahals.records import InputError
from tests.support import toy_study as toy
from tests.support.toy_runs import ONE_TASK, Watch, outputs, three_models


def test_an_idle_worker_measures_ahead_what_the_study_will_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third model keeps one of two workers: the other goes on to the next phase meanwhile."""
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "follow", "cross"))
    workspace, watch = three_models(tmp_path / "study", broken="none"), Watch()
    console = toy.quiet()
    settings = toy.settings_of(workspace, **ONE_TASK)
    found = run_study(settings, workspace, Session(console, watch, workers=2))
    first = min(watch.made.index(("follow", unit)) for unit in ("A", "B"))
    assert first < watch.made.index(("grow", "C"))
    assert len(watch.made) == len(set(watch.made)) == len(found) and not watch.failures
    assert "complete" not in console.stream.getvalue()  # type: ignore[attr-defined]
    alone = three_models(tmp_path / "alone", broken="none")
    toy.run(alone, "follow", Session(toy.quiet(), workers=2), **ONE_TASK)
    toy.run(alone, "cross", Session(toy.quiet(), workers=2), **ONE_TASK)
    assert outputs(alone.root) == outputs(workspace.root)


def test_an_error_ahead_is_the_error_of_its_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The phase before it ends well, its other units too; the study can be taken up again."""
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "follow"))
    workspace, watch = three_models(tmp_path, broken="B"), Watch()
    settings = toy.settings_of(workspace, **ONE_TASK)
    with pytest.raises(TaskError, match="broken on purpose"):
        run_study(settings, workspace, Session(toy.quiet(), watch, workers=2))
    assert {("grow", unit) for unit in ("A", "B", "C", "study")} <= set(watch.made)
    assert ("follow", "B", "TaskError") in watch.failures
    assert not list((tmp_path / ".mahals").rglob("*.lock"))
    mended = toy.settings_of(workspace, **ONE_TASK, follow__broken="none")
    found = run_study(mended, workspace, Session(toy.quiet(), workers=2))
    assert len([r for r in found if r.phase == "follow"]) == 4


def test_an_error_drops_what_is_under_way_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "cross", "follow"))
    workspace, watch = three_models(tmp_path, broken="none", seconds=6.0), Watch()
    settings = toy.settings_of(workspace, **ONE_TASK, cross__power=10**9)
    with pytest.raises(TaskError, match="OverflowError"):
        run_study(settings, workspace, Session(toy.quiet(), watch, workers=2))
    assert ("grow", "study") in watch.made and "follow" not in {name for name, _ in watch.made}
    assert ("follow", "A", "TaskError") in watch.failures
    assert not list((tmp_path / ".mahals").rglob("*.lock"))


def test_what_another_process_measures_is_not_begun_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The phase before is not disturbed; the phase itself refuses, as it would alone."""
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "follow"))
    workspace, watch = three_models(tmp_path, broken="none"), Watch()
    settings = toy.settings_of(workspace, **ONE_TASK)
    real = Journal.open

    def held(journal: Journal) -> None:
        if "follow A" in journal._label:
            raise InputError("journal of follow A", expected="", got="", cure="wait")
        real(journal)

    monkeypatch.setattr(Journal, "open", held)
    with pytest.raises(InputError, match="journal of follow A"):
        run_study(settings, workspace, Session(toy.quiet(), watch, workers=2))
    assert {("grow", unit) for unit in ("A", "B", "C", "study")} <= set(watch.made)
    told = [unit for name, unit, _ in watch.failures if name == "follow"]
    done = [unit for name, unit in watch.made if name == "follow"]
    assert sorted(told + done) == ["A", "B", "C"] and "A" in told


def test_what_is_under_way_ahead_goes_on_in_its_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "follow"))
    workspace, watch = three_models(tmp_path, broken="none", seconds=4.0), Watch()
    settings = toy.settings_of(workspace, **ONE_TASK)
    run_study(settings, workspace, Session(toy.quiet(), watch, workers=2))
    assert watch.made.index(("grow", "C")) < watch.made.index(("follow", "A"))
    assert len(watch.made) == len(set(watch.made)) and len(watch.tasks) == 7


def test_what_another_process_has_just_finished_is_not_measured_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended after nobody found it and before its journal was free."""
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "follow"))
    workspace, watch, other = three_models(tmp_path, broken="none"), Watch(), Watch()
    settings = toy.settings_of(workspace, **ONE_TASK)
    real, taken = Journal.open, []

    def late(journal: Journal) -> None:
        if journal._label == "follow A" and not taken:
            taken.append(journal)
            toy.run(workspace, "follow", Session(toy.quiet(), other, units=("A",)), **ONE_TASK)
        real(journal)

    monkeypatch.setattr(Journal, "open", late)
    found = run_study(settings, workspace, Session(toy.quiet(), watch, workers=2))
    assert other.made == [("follow", "A")] and ("follow", "A") not in watch.made
    assert len(found) == 9 and all(is_told(results) for results in found)
    assert not list((tmp_path / ".mahals").glob("journals/*"))


def test_what_was_measured_ahead_and_then_removed_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "follow"))
    workspace = three_models(tmp_path, broken="none")

    class Remover(Watch):
        def phase_done(self, results: Results) -> None:
            super().phase_done(results)
            this = (results.phase, results.unit)
            if this == ("follow", "A") and self.made.count(this) == 1:
                shutil.rmtree(results.folder)

    watch = Remover()
    settings = toy.settings_of(workspace, **ONE_TASK)
    found = run_study(settings, workspace, Session(toy.quiet(), watch, workers=2))
    assert watch.made.index(("follow", "A")) < watch.made.index(("grow", "C"))
    assert watch.made.count(("follow", "A")) == 2 and len(found) == 9
    assert all(is_told(results) for results in found)
