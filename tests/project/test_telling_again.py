"""Telling again: does a changed sentence reach results, board and MLflow without measuring?"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.support.light_repository import MODELS, environment, make, run

UNITS = (*MODELS, "study")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The light repository after its study."""
    root = make(tmp_path_factory.mktemp("telling") / "repository")
    log = root.parent / "measured.txt"
    run(root, "python", "-m", "mahals", "study", env=environment(LIGHT_LOG=str(log)))
    assert log.read_text().count("\n") > 0
    assert status(root) == {}
    return root


def status(root: Path) -> dict[str, object]:
    done = run(root, "dvc", "status", "--json")
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def reword(root: Path, name: str, old: str, new: str) -> None:
    report = root / "mahals" / "phases" / name / "report.py"
    text = report.read_text()
    assert old in text
    report.write_text(text.replace(old, new))


def told(root: Path, name: str) -> list[str]:
    """The first sentence of each unit of a phase, and of its gather."""
    files = (root / "results" / name / unit / "summary.json" for unit in UNITS)
    return [json.loads(file.read_text())["summary"]["lines"][0] for file in files]


def measured(root: Path) -> dict[str, tuple[int, int]]:
    """When each row file and run.json of a unit was written."""
    files = sorted(root.glob("results/*/*/rows.jsonl")) + sorted(
        root.glob("results/*/*_*/run.json")
    )
    return {str(f): (f.stat().st_mtime_ns, f.stat().st_ino) for f in files}


def test_dvc_asks_for_the_gather_alone_and_repro_tells_again(studied: Path) -> None:
    before = measured(studied)
    reword(studied, "same_arch", "The value is", "Its value is")
    assert set(status(studied)) == {"same_arch_gather"}
    log = studied.parent / "repro.txt"
    run(studied, "dvc", "repro", env=environment(LIGHT_LOG=str(log)))
    assert not log.exists() and measured(studied) == before, "nothing is measured"
    assert all(line.startswith("Its value is") for line in told(studied, "same_arch"))
    assert all(line.startswith("The value is") for line in told(studied, "cross_arch"))
    assert status(studied) == {}


def test_a_study_tells_again_and_shows_it_in_mlflow_once(studied: Path) -> None:
    before = measured(studied)
    reword(studied, "baseline_aqi", "The value is", "Now the value is")
    log = studied.parent / "study.txt"
    run(studied, "python", "-m", "mahals", "study", env=environment(LIGHT_LOG=str(log)))
    assert not log.exists() and measured(studied) == before
    assert all(line.startswith("Now the value is") for line in told(studied, "baseline_aqi"))
    assert status(studied) == {}
    with sqlite3.connect(studied / "mlflow.db") as database:
        notes = database.execute(
            "SELECT r.name, t.value FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid "
            "WHERE t.key = 'mlflow.note.content' AND r.lifecycle_stage = 'active' "
            "AND r.name LIKE 'baseline_aqi/%' AND r.status = 'FINISHED'"
        ).fetchall()
    assert sorted(name for name, _ in notes) == sorted(f"baseline_aqi/{unit}" for unit in UNITS)
    assert all("\n\nNow the value is" in note for _, note in notes)


def test_drawing_again_measures_nothing(studied: Path) -> None:
    before = measured(studied)
    reword(studied, "cross_arch", "The value is", "Drawn, the value is")
    log = studied.parent / "drawn.txt"
    run(
        studied, "python", "-m", "mahals", "draw", "cross_arch", env=environment(LIGHT_LOG=str(log))
    )
    assert not log.exists() and measured(studied) == before
    assert all(line.startswith("Drawn, the value is") for line in told(studied, "cross_arch"))


def test_what_measures_is_measured_anew_with_all_below_it(studied: Path) -> None:
    """A comment in one phase's `measure` makes that phase stale, and no other."""
    measure = studied / "mahals/phases/steering_vectors/measure.py"
    measure.write_text(measure.read_text() + "# a comment\n")
    asked = set(status(studied))
    assert asked == {"steering_vectors"}, "its rows may come out the same: then nothing else runs"
