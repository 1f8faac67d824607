"""Running: is it said what would be done, and is the end of a study seen?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from mahals.cli import main
from mahals.cli import run as measuring
from mahals.cli.ending import end
from mahals.harness.manifests import dvc_commit, sources
from mahals.harness.runner.progress import Session
from mahals.harness.tracking import database, runs
from mahals.harness.tracking.database import Store
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results


def test_dry_run_names_tasks_and_missing_upstreams_and_makes_nothing(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(small.rglob("*"))
    assert main(["run", "baseline_aqi", "--models", "[Llama3_8B]", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    for name in ("datasets", "organisms", "baseline_aqi"):
        assert name in shown
    assert "3 of 3 units to do" in shown
    assert "waits for upstream" in shown
    assert sorted(small.rglob("*")) == before


def test_a_dry_run_refuses_a_family_that_no_run_could_measure(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = small / "benchmarks/models.yaml"
    registry = yaml.safe_load(file.read_text(encoding="utf-8"))
    registry["Qwen2_7B"]["family"] = "Rwkv"
    file.unlink()
    file.write_text(yaml.safe_dump(registry), encoding="utf-8")
    words = ["run", "baseline_aqi", "--models", "[Qwen2_7B]", "--dry-run"]
    assert main([*words, "--weights", "organism"]) == 0
    capsys.readouterr()
    assert main([*words, "--weights", "hub"]) == 2
    assert "architecture rwkv of Qwen/Qwen2-7B: expected attention" in capsys.readouterr().err


def test_the_end_of_a_study_is_seen(
    results: list[Results],
    told_at_once: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Units to MLflow, the board to MLflow, and then DVC, which is not ready."""

    @contextmanager
    def committing(sources: object, tick: Callable[[], None]) -> Iterator[None]:
        yield
        tick()

    def work(session: Session) -> list[Results]:
        return results

    def show(made: list[Results], store: Store | None) -> None:
        assert store is not None and made == results
        end(Workspace.locate(), made, made, store)

    monkeypatch.setattr(dvc_commit, "committing", committing)
    monkeypatch.setattr(sources, "read_sources", lambda workspace: None)
    measuring._measure(Workspace.locate(), 1, None, work, show)
    told = capsys.readouterr().err.splitlines()
    assert told.index("results to MLflow: 2 in 0 s") < told.index(
        "leaderboard lines to MLflow: 2 in 0 s"
    )
    assert told[-2] == "DVC takes the results: 0 s so far"
    assert told[-1] == "DVC takes the results: 0 s"
    assert runs.publish(results, database.ensure_database(Path.cwd())).made == 0


def test_the_run_that_mlflow_opened_is_told_what_came_out(
    results: list[Results], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = database.ensure_database(Path.cwd())
    opened = store.client.create_run("0", run_name="able-owl-1").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", opened)
    end(Workspace.locate(), results, results, store)
    text = capsys.readouterr().out
    assert len(text.splitlines()) <= 40
    assert f"#/experiments/0/runs/{opened}" in text and "viewStateShareKey=" in text
    told = store.client.get_run(opened).data
    assert told.metrics["configurations"] == 2 and len(told.metrics) <= 30
    note = told.tags["mlflow.note.content"]
    head = next(line for line in text.splitlines() if "configuration" in line)
    assert head[:60] in note and "viewStateShareKey=" in note
    for each in results:
        (child,) = store.client.search_runs(
            [store.experiment(each.phase)], f"tags.unit = '{each.unit}'"
        )
        assert child.data.tags["mlflow.parentRunId"] == opened
        assert f"/runs/{child.info.run_id})" in note
