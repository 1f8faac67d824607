"""Invocation: does the run that MLflow opened live while the study runs?"""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from mahals.harness.tracking import invocation
from mahals.harness.tracking.database import Store
from mahals.harness.tracking.invocation import METRICS, Ending, conclude, open_tracker
from mahals.harness.workspace.paths import Workspace
from mahals.records import InputError
from tests.support.synthetic_results import Made
from tests.support.synthetic_results import write_results as write
from tests.support.tracked_vectors import runs_of


def test_the_invocation_lives_while_the_study_runs(place: Workspace, store: Store) -> None:
    opened = store.client.create_run("0")
    store.client.log_param(opened.info.run_id, "source", "Mistral_7B")
    tracker = open_tracker(store, {"MLFLOW_RUN_ID": opened.info.run_id})
    for done in range(1, 51):
        tracker.task_done("same_arch", "Mistral_7B", done, 50, 0.1)
    made = write(place, Made())
    tracker.phase_done(made)
    run = store.client.get_run(opened.info.run_id)
    assert run.data.tags["mahals.kind"] == "invocation"
    assert run.data.tags["mahals.made"] == f"same_arch/Mistral_7B {made.fingerprint[:12]}"
    assert run.data.metrics["progress/same_arch"] == 1.0
    assert run.data.metrics == {"progress/same_arch": 1.0}  # the rest is in its children
    assert run.data.params == {"source": "Mistral_7B"}
    assert run.info.status == "RUNNING"  # `mlflow run` ends it
    history = store.client.get_metric_history(opened.info.run_id, "progress/same_arch")
    assert len(history) < 5  # throttled
    figures = store.client.list_artifacts(run.info.run_id, "figures/same_arch/Mistral_7B")
    assert [f.path.rpartition("/")[2] for f in figures] == ["aqi_vs_lambda.png"]
    (child,) = runs_of(store, "same_arch")
    assert child.data.tags["mlflow.parentRunId"] == run.info.run_id
    assert child.info.experiment_id != run.info.experiment_id
    note, page = run.data.tags["mlflow.note.content"], f"/runs/{child.info.run_id}"
    assert f"[Mistral_7B](#/experiments/{child.info.experiment_id}{page})" in note
    assert "organism weights, training seed 0" in note
    import mlflow

    assert mlflow.active_run() is None


def test_a_long_task_is_a_curve_not_a_point_at_its_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = store.client.create_run("0").info.run_id
    now = 0.0
    clock = SimpleNamespace(monotonic=lambda: now, time=time.time)
    monkeypatch.setattr(invocation, "time", clock)
    tracker = open_tracker(store, {"MLFLOW_RUN_ID": opened})

    def points(name: str) -> list[tuple[float, int]]:
        return [(m.value, m.step) for m in store.client.get_metric_history(opened, name)]

    for tenth in range(16):  # 0.0 to 1.5 of 6 tasks, a tick every half second
        tracker.under_way("organisms", tenth / 10, 6)
        now += 0.5
    assert points("progress/organisms") == [(0.0, 0), (0.4 / 6, 2), (0.8 / 6, 4), (1.2 / 6, 6)]
    tracker.task_done("organisms", "Mistral_7B", 1, 1, 7.0)  # one of six units
    now += 10
    tracker.under_way("organisms", 1.5, 6)
    for _ in range(3):
        now += 0.1
        tracker.under_way("organisms", 6.0, 6)
    assert points("progress/organisms")[4:] == [(1.5 / 6, 18), (1.0, 18)]


def test_an_ended_invocation_says_what_was_run_and_holds_few_metrics(
    place: Workspace, store: Store
) -> None:
    opened = store.client.create_run("0").info.run_id
    tracker = open_tracker(store, {"MLFLOW_RUN_ID": opened})
    many = {f"metric{i:03}": float(i) for i in range(100)}
    made = [
        write(place, Made(unit=unit, metrics=many)) for unit in ("Mistral_7B", "Qwen2_7B", "study")
    ]
    for phase in ("datasets", "organisms", "same_arch"):
        tracker.under_way(phase, 1.0, 1)
    tracker.phase_done(made[0])
    best = {"ranked": 3.0, "best/kl50": 0.02}
    said = Ending(["3 of 9 configurations beat both nulls."], [best, many], "#/experiments/9/runs")
    conclude(store, opened, made, said)
    run = store.client.get_run(opened)
    assert len(run.data.metrics) == METRICS == 30
    assert run.data.metrics.items() >= {**best, "progress/datasets": 1.0, "metric024": 24.0}.items()
    assert "metric025" not in run.data.metrics
    note = run.data.tags["mlflow.note.content"]
    for words in ("Measured: same_arch", "3 of 9 configurations", "(#/experiments/9/runs)"):
        assert words in note
    children = {child.info.run_id: child for child in runs_of(store, "same_arch")}
    assert len(children) == 3 and all(f"/runs/{run_id})" in note for run_id in children)
    assert {c.data.tags["mlflow.parentRunId"] for c in children.values()} == {opened}
    assert all(len(c.data.metrics) == 101 for c in children.values())


def test_without_mlflow_run_the_tracker_publishes_alone(place: Workspace, store: Store) -> None:
    tracker = open_tracker(store, {})
    tracker.under_way("same_arch", 0.5, 2)
    tracker.task_done("same_arch", "Mistral_7B", 1, 2, 0.1)
    tracker.phase_done(write(place, Made()))
    tracker.failed("same_arch", "Qwen2_7B", InputError("a", expected="b", got="c", cure="d"))
    statuses = sorted(run.info.status for run in runs_of(store, "same_arch"))
    assert statuses == ["FAILED", "FINISHED"]


def test_an_unknown_invocation_is_refused(store: Store) -> None:
    with pytest.raises(InputError, match="MLFLOW_RUN_ID"):
        open_tracker(store, {"MLFLOW_RUN_ID": "f" * 32})
