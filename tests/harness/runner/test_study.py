"""Study: is what is complete left alone, and is each phase told once?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mahals.harness.engines.process import TaskError
from mahals.harness.runner.progress import Session
from mahals.harness.runner.study import run_study
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import all_results
from mahals.harness.workspace.telling import is_told
from mahals.phases.registry import STUDIES
from mahals.records import InputError
from tests.support import retrained
from tests.support import toy_study as toy
from tests.support.places import ROOT
from tests.support.toy_runs import Watch


def test_complete_units_are_skipped_and_said_so(
    reference: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    console = toy.quiet()
    toy.run(Workspace(reference, "tests.support.toy_phases", toy.NAMES), "grow", Session(console))
    assert not (tmp_path / "log").exists()
    assert console.stream.getvalue().count("complete") == 3  # type: ignore[attr-defined]


def test_other_values_never_touch_canonical_results(reference: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in reference.rglob("*") if "results" in p.parts}
    workspace = Workspace(reference, "tests.support.toy_phases", toy.NAMES)
    results = toy.run(workspace, "cross", cross__power=3)
    assert all(r.folder == workspace.runs / r.fingerprint for r in results)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    upstream = toy.run(workspace, "cross", words__count=2)  # another value upstream
    assert all(r.folder == workspace.runs / r.fingerprint for r in upstream)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert (reference / "data/words.txt").read_text() == "word0\nword1\nword2"


@pytest.mark.parametrize("power", [2, 10**9])
def test_a_study_shows_each_phase_once_also_those_before_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, power: int
) -> None:
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "cross"))
    workspace, watch = toy.make(tmp_path, study="toy"), Watch()
    settings = toy.settings_of(workspace, cross__power=power)
    session = Session(toy.quiet(), watch, workers=2)
    gathers = [("grow", "study"), ("cross", "study")]
    if power == 2:
        found = run_study(settings, workspace, session)
        assert [(r.phase, r.unit) for r in found if r.unit == "study"][1:] == gathers
        assert all(is_told(r) for r in found)
    else:
        with pytest.raises(TaskError, match="OverflowError"):  # a number that is too large
            run_study(settings, workspace, session)
        gathers.pop()
    told = [made for made in watch.made if made in [("grow", "study"), ("cross", "study")]]
    assert sorted(told) == sorted(gathers)  # two workers may end them in either order


def test_results_of_values_that_were_tried_and_then_adopted_are_taken_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else results/ would hold what the values of before gave, and nobody would say so."""
    workspace = toy.make(tmp_path / "toy")
    toy.run(workspace, "grow")
    tried = toy.run(workspace, "grow", grow__scale=2.0)
    assert all(r.folder.is_relative_to(workspace.runs) for r in tried)
    toy.make(tmp_path / "toy", grow={**toy.PARAMS["grow"], "scale": 2.0})
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    adopted = toy.run(workspace, "grow")
    assert not (tmp_path / "log").exists(), "nothing is measured"
    assert all(r.folder.is_relative_to(workspace.results) for r in adopted)
    for one, other in zip(adopted[:-1], tried[:-1], strict=True):
        assert (one.fingerprint, one.content) == (other.fingerprint, other.content)
        assert one.rows() == other.rows() and one.broken() is None and is_told(one)
        assert one.run()["canonical"] and not other.run()["canonical"]
        assert one.run()["seconds"] == other.run()["seconds"]
    assert adopted[-1].metrics()["sum"] == tried[-1].metrics()["sum"]


def test_trainings_that_are_missing_are_made_and_the_study_s_own_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, log = retrained.make(tmp_path / "toy"), tmp_path / "log"
    monkeypatch.setenv("TOY_LOG", str(log))
    own = {r.unit: r.metrics() for r in toy.run(workspace, "organisms")}
    console = toy.quiet()
    (made,) = toy.run(workspace, "again", Session(console))
    told_lines = console.stream.getvalue()  # type: ignore[attr-defined]
    assert "again, training 4 needs organisms A, organisms B: missing" in told_lines
    assert log.read_text().split("\n")[:-1] == ["A 3", "B 3", "A 4", "B 4"]
    assert made.folder == workspace.results / "again" / "study"
    others = [r for r in all_results(workspace) if r.phase == "organisms" and not r.is_canonical]
    assert {r.unit for r in others} == {"A", "B", "study"}
    told = {unit: {**own}[unit][f"{unit}/number"] for unit in "AB"}
    assert {u: made.metrics()[f"{u}/number@3"] for u in "AB"} == told
    further = {r.unit: r.metrics()[f"{r.unit}/number"] for r in others if r.unit != "study"}
    assert {u: made.metrics()[f"{u}/number@4"] for u in "AB"} == further != told
    run = made.run()
    assert {seed: len(marks) for seed, marks in run["trainings"].items()} == {"3": 2, "4": 2}
    content = run["inputs"]["upstream"]
    assert set(content) == {f"organisms/{u}@{s}" for u in "AB" for s in (3, 4)}
    assert len(set(content.values())) == 4, "the content of each training is in the fingerprint"
    assert toy.run(workspace, "again")[0].fingerprint == made.fingerprint
    more = toy.run(workspace, "again", again__trainings=3)[0]
    assert more.fingerprint != made.fingerprint and not more.is_canonical
    assert log.read_text().count("\n") == 6, "what is there is not trained again"


def test_what_a_killed_run_trained_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, log = retrained.make(tmp_path / "toy"), tmp_path / "log"
    monkeypatch.setenv("TOY_LOG", str(log))
    code = (
        "import sys, pathlib; from tests.support import retrained, toy_study as toy\n"
        "toy.run(retrained.make(pathlib.Path(sys.argv[1])), 'again')"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", code, str(workspace.root)]
    died = subprocess.run(words, env={**environment, "TOY_DEATH": "B 4"}, check=False)
    assert died.returncode == -signal.SIGKILL
    begun = log.read_text()
    assert begun == "A 3\nB 3\nA 4\nB 4\n"
    subprocess.run(words, env=environment, check=True)
    assert log.read_text() == begun + "B 4\n"


def test_trainings_that_are_required_and_missing_are_named_with_their_command(
    tmp_path: Path,
) -> None:
    workspace = retrained.make(tmp_path, upstream="require")
    toy.run(workspace, "organisms", upstream="run")
    with pytest.raises(InputError, match=r"organisms A, .*organisms --set organisms.training_seed"):
        toy.run(workspace, "again")


def test_the_first_models_alone_are_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the study's own training are taken as they are."""
    workspace, log = retrained.make(tmp_path / "toy"), tmp_path / "log"
    monkeypatch.setenv("TOY_LOG", str(log))
    toy.run(workspace, "organisms")
    (made,) = toy.run(workspace, "again", again__first_models=1)
    assert log.read_text().split("\n")[:-1] == ["A 3", "B 3", "A 4"]
    assert set(made.run()["inputs"]["upstream"]) == {f"organisms/A@{s}" for s in (3, 4)}


def test_hub_weights_have_one_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a real checkpoint has one training"):
        toy.run(retrained.make(tmp_path), "again", weights="hub")
    with pytest.raises(InputError, match=r"again.trainings: expected 2 or more, got 1"):
        toy.run(retrained.make(tmp_path), "again", again__trainings=1)
