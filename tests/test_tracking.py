"""Does MLflow show each result once, whole, and load back the very vector that was kept?"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load as load_tensors

import mahals
from mahals.harness.tracking import invocation
from mahals.harness.tracking.database import Store, ensure_database, main_repository, tracking_uri
from mahals.harness.tracking.invocation import open_tracker
from mahals.harness.tracking.registered_vectors import choose_champion, load_vector
from mahals.harness.tracking.runs import flattened, mark_failed, publish
from mahals.harness.tracking.vector_files import export_pth
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.records import InputError
from tests.support.synthetic_results import (
    Made,
    card,
    empty_store,
    entry,
    steered,
    vector_file,
    workspace,
)
from tests.support.synthetic_results import write_results as write

REVISION = "a" * 40  # of the synthetic cards


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return workspace(tmp_path)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    return empty_store(tmp_path)


def runs_of(store: Store, experiment: str) -> list[Any]:
    return list(store.client.search_runs([store.experiment(experiment)]))


def with_vector(place: Workspace, score: float | None, seed: int = 0, **changes: Any) -> Results:
    unit = changes.pop("unit", "Mistral_7B")
    method = changes.pop("method", "mean_difference")
    file = f"{method}.safetensors"
    kept = {file: vector_file(seed=seed)}
    vectors = [card(unit, file, score, method)]
    values = {"phase": "steering_vectors", "unit": unit, "metrics": {"norm": float(seed)}}
    return write(place, Made(**{**values, "kept": kept, "vectors": vectors, **changes}))


def model_of(layers: int = 4, width: int = 8, revision: str = REVISION) -> Any:
    return SimpleNamespace(key="Mistral_7B", layers=layers, width=width, revision=revision)


# Where it goes


def test_the_database_is_the_repositorys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir("/")
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    temporary = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabc"
    assert main_repository(temporary) == tmp_path
    assert tracking_uri(temporary) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")  # as `mlflow run` passes it
    assert tracking_uri(temporary) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert tracking_uri(tmp_path) == "http://tracking:5000"


def test_a_database_that_cannot_be_made_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    with pytest.raises(InputError, match=r"tracking database .* check MLFLOW_TRACKING_URI"):
        ensure_database(tmp_path)


def _make(root: str) -> None:
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    store = ensure_database(root)
    store.client.search_experiments()


@pytest.mark.slow
def test_many_processes_may_ask_for_the_database_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_make, args=(str(tmp_path),)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0, 0]


# Runs


def test_publishing_twice_makes_one_run(place: Workspace, store: Store) -> None:
    made = [write(place, Made(unit=unit)) for unit in ("Mistral_7B", "Qwen2_7B")]
    assert publish(made, store).made == 2
    again = publish(made, store)
    assert again.made == 0
    assert sorted(again.runs) == sorted(r.fingerprint for r in made)
    assert len(runs_of(store, "same_arch")) == 2


def test_publishing_says_how_far_it_is(place: Workspace, store: Store) -> None:
    made = [write(place, Made(unit=unit)) for unit in ("Mistral_7B", "Qwen2_7B")]
    told: list[tuple[int, int]] = []
    publish(made, store, lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2), (2, 2)]


def test_a_run_holds_the_whole_result(place: Workspace, store: Store) -> None:
    write(place, Made(phase="organisms", metrics={"loss": 1.0}))
    upstream = place.results / "organisms" / "Mistral_7B"
    content = json.loads((upstream / "run.json").read_text())["content"]
    inputs = {"upstream": {"organisms/Mistral_7B": content, "organisms/Qwen2_7B": "gone"}}
    made = write(place, Made(entries=[entry(steered(), 3.0)], inputs=inputs))
    run = store.client.get_run(publish([made], store).runs[made.fingerprint])
    assert run.info.status == "FINISHED" and run.info.run_name == "same_arch/Mistral_7B"
    assert run.data.metrics == {"aqi": 21.5, "aqi_gain": 2.5, "seconds": 12.5}
    assert run.data.params["lambdas"] == "[0,0.5]" and run.data.params["suite.pool"] == "mean"
    tags = run.data.tags
    assert tags["mahals.fingerprint"] == made.fingerprint and tags["weights"] == "organism"
    assert tags["mlflow.source.git.commit"] == "0" * 40 and tags["dirty"] == "false"
    assert tags["device"] == "cpu" and tags["suite"] == "core-1 3f9a2c1d"
    figures = store.client.list_artifacts(run.info.run_id, "figures")
    assert [f.path for f in figures] == ["figures/aqi_vs_lambda.png"]
    rows = (upstream / "rows.jsonl").read_bytes()
    expected = {"results/organisms/Mistral_7B/rows.jsonl": hashlib.md5(rows).hexdigest()}
    found = {d.dataset.name: d.dataset.digest for d in run.inputs.dataset_inputs}
    assert found == expected
    assert Path(run.info.artifact_uri.removeprefix("file://")).is_relative_to(store.root)


def test_many_params_are_logged_in_batches(place: Workspace, store: Store) -> None:
    params = {f"key{i}": i for i in range(250)} | {"empty": ""}
    made = write(place, Made(inputs={"params": params}))
    run = store.client.get_run(publish([made], store).runs[made.fingerprint])
    assert run.data.params["key249"] == "249" and run.data.params["empty"] == '""'


def test_flattened_names_are_dotted_paths() -> None:
    found = dict(flattened({"a": {"b": {"c": 1}, "d": "x"}, "e": [1, {"f": 2}]}))
    assert found == {"a.b.c": "1", "a.d": "x", "e": '[1,{"f":2}]'}


def test_a_failure_leaves_no_running_run(
    place: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = write(place, Made())
    (made.folder / "summary.json").write_text("{")
    with pytest.raises(InputError):
        publish([made], store)
    write(place, Made())
    with monkeypatch.context() as patch:
        patch.setattr("mahals.harness.tracking.runs._log_figures", _refuse)
        with pytest.raises(OSError, match="disk full"):
            publish([made], store)
    assert [run.info.status for run in runs_of(store, "same_arch")] == ["FAILED"]
    assert publish([made], Store(store.root, store.uri)).made == 1
    statuses = sorted(run.info.status for run in runs_of(store, "same_arch"))
    assert statuses == ["FAILED", "FINISHED"]


def _refuse(*args: object) -> None:
    raise OSError("disk full")


def test_a_run_that_a_killed_process_left_is_ended(place: Workspace, store: Store) -> None:
    made = write(place, Made())
    tags = {"mahals.kind": "unit", "mahals.fingerprint": made.fingerprint}
    left = store.client.create_run(store.experiment("same_arch"), tags=tags)
    assert publish([made], store).made == 1
    assert store.client.get_run(left.info.run_id).info.status == "KILLED"


def test_an_experiment_deleted_meanwhile_is_restored(place: Workspace, store: Store) -> None:
    """With its runs: none is made twice."""
    first, second = (write(place, Made(unit=unit)) for unit in ("Mistral_7B", "Llama3_8B"))
    publish([first], store)
    store.client.delete_experiment(store.experiment(first.phase))
    assert publish([first, second], store).made == 1
    assert len(runs_of(store, first.phase)) == 2
    store.client.delete_experiment(store.experiment(first.phase))
    mark_failed(store, first.phase, "Qwen2_7B", ValueError("x"))
    assert len(runs_of(store, first.phase)) == 3
    store.client.rename_experiment(store.experiment(first.phase), "old")
    store.client.delete_experiment(store.client.get_experiment_by_name("old").experiment_id)
    assert publish([first], store).made == 1  # it is gone for good: a new one


def test_mark_failed_says_why(store: Store) -> None:
    run = store.client.get_run(mark_failed(store, "same_arch", "Mistral_7B", ValueError("nan")))
    assert run.info.status == "FAILED" and run.data.tags["error"] == "ValueError: nan"


# The run of `mlflow run`


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
    assert run.data.tags["mahals.made.same_arch/Mistral_7B"] == made.fingerprint
    assert run.data.metrics["progress/same_arch"] == 1.0
    assert run.data.metrics["same_arch/Mistral_7B/aqi"] == 21.5
    assert run.data.params == {"source": "Mistral_7B"}
    assert run.info.status == "RUNNING"  # `mlflow run` ends it
    history = store.client.get_metric_history(opened.info.run_id, "progress/same_arch")
    assert len(history) < 5  # throttled
    figures = store.client.list_artifacts(run.info.run_id, "figures/same_arch/Mistral_7B")
    assert len(figures) == 1
    assert len(runs_of(store, "same_arch")) == 1
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
    assert points("seconds_per_task/organisms") == []
    tracker.task_done("organisms", "Mistral_7B", 1, 1, 7.0)  # one of six units
    now += 10
    tracker.under_way("organisms", 1.5, 6)
    for _ in range(3):
        now += 0.1
        tracker.under_way("organisms", 6.0, 6)
    assert points("progress/organisms")[4:] == [(1.5 / 6, 18), (1.0, 18)]
    assert [value for value, _ in points("seconds_per_task/organisms")] == [7.0]


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


# Vectors


def test_a_vector_loads_back_as_it_was_kept(place: Workspace, store: Store) -> None:
    made = with_vector(place, 1.0)
    publish([made], store)
    expected = load_tensors(vector_file())["values"]
    vector = mahals.load_vector("models:/Mistral_7B.mean_difference@champion", root=place.root)
    assert torch.equal(vector.values, expected)
    assert vector.config is not None and vector.config.layers == 4 and vector.config.width == 8
    same = load_vector("models:/Mistral_7B.mean_difference/1", model_of(), place.root)
    assert torch.equal(same.values, expected)
    path = export_pth(vector, place.root / "v.pth")
    assert torch.equal(torch.load(path, weights_only=True)["values"], expected)
    bare = load_vector(made.folder / "kept" / "mean_difference.safetensors")
    assert torch.equal(bare.values, expected) and bare.config is None


def test_the_same_content_is_the_same_version(place: Workspace, store: Store) -> None:
    publish([with_vector(place, 1.0, metrics={"a": 1.0})], store)
    publish([with_vector(place, 2.0, metrics={"a": 2.0})], store)
    found = store.client.search_model_versions("name='Mistral_7B.mean_difference'")
    assert [v.version for v in found] == [1] or [v.version for v in found] == ["1"]
    assert found[0].tags["selection_score"] == "2.0"
    publish([with_vector(place, 1.0, seed=5)], store)
    found = store.client.search_model_versions("name='Mistral_7B.mean_difference'")
    assert len(found) == 2


def test_the_champion_is_the_best_of_its_target(place: Workspace, store: Store) -> None:
    publish([with_vector(place, 1.0, method="mean_difference")], store)
    publish([with_vector(place, 3.0, method="pca", seed=1)], store)
    publish([with_vector(place, 2.0, method="contrast", seed=2)], store)
    publish([with_vector(place, 9.0, method="svd_k", seed=3, canonical=False)], store)
    publish([with_vector(place, 9.0, unit="Qwen2_7B", seed=4)], store)
    models = store.client.search_registered_models()
    holders = {m.name for m in models if "champion" in dict(m.aliases)}
    assert holders == {"Mistral_7B.pca", "Qwen2_7B.mean_difference"}
    assert choose_champion(store, "Mistral_7B", "organism") == ("Mistral_7B.pca", "1")
    assert choose_champion(store, "Falcon_7B", "organism") is None


def test_vectors_of_real_weights_stand_apart(place: Workspace, store: Store) -> None:
    publish([with_vector(place, 1.0)], store)
    publish([with_vector(place, 2.0, weights="hub", seed=1)], store)
    names = {m.name for m in store.client.search_registered_models()}
    assert names == {"Mistral_7B.mean_difference", "Mistral_7B.mean_difference.hub"}


def test_a_vector_of_another_architecture_is_refused(place: Workspace, store: Store) -> None:
    publish([with_vector(place, 1.0)], store)
    uri = "models:/Mistral_7B.mean_difference@champion"
    for model in (model_of(layers=5), model_of(width=16)):
        with pytest.raises(InputError, match=r"layers of width"):
            load_vector(uri, model, place.root)
    with pytest.raises(InputError, match="vector of revision"):
        load_vector(uri, model_of(revision="b" * 40), place.root)


def test_damaged_vectors_are_refused(place: Workspace, store: Store, tmp_path: Path) -> None:
    publish([with_vector(place, 1.0)], store)
    uri = "models:/Mistral_7B.mean_difference/1"
    stored = next((store.root / "mlruns").rglob("vector.safetensors"))
    whole = stored.read_bytes()
    stored.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match="damaged"):
        load_vector(uri, root=place.root)
    stored.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        load_vector(uri, root=place.root)
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="steering vector"):
        load_vector(torn)
    torn.write_bytes(vector_file(name="other"))
    with pytest.raises(InputError, match="values"):
        load_vector(torn)
    with pytest.raises(InputError, match="none there"):
        load_vector(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("uri", ["models:/Nobody@champion", "models:/Nobody/3", "models:/Nobody"])
def test_unknown_vectors_are_refused(place: Workspace, store: Store, uri: str) -> None:
    with pytest.raises(InputError, match="steering vector models:/Nobody"):
        load_vector(uri, root=place.root)


def test_a_kept_vector_that_was_changed_is_not_registered(place: Workspace, store: Store) -> None:
    made = with_vector(place, 1.0)
    (made.folder / "kept" / "mean_difference.safetensors").write_bytes(vector_file(seed=9))
    with pytest.raises(InputError, match="other bytes"):
        publish([made], store)
    assert [run.info.status for run in runs_of(store, "steering_vectors")] == ["FAILED"]


def test_importing_mahals_is_light() -> None:
    code = "import sys, mahals; print(sorted({'mlflow', 'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_clone_publishes_its_results_anew(place: Workspace, store: Store, tmp_path: Path) -> None:
    made = with_vector(place, 1.0)
    first = publish([made], store)
    clone = tmp_path / "clone"
    shutil.copytree(place.root / "results", clone / "results")
    copied = workspace(clone)
    item = Results(
        copied, made.phase, made.unit, copied.results / made.phase / made.unit, made.fingerprint
    )
    second = publish([item], empty_store(clone))
    assert set(first.runs) == set(second.runs) and second.made == 1


def test_connections_to_sqlite_wait_for_the_disk_seldom(tmp_path: Path) -> None:
    from sqlalchemy import create_engine, text

    store = empty_store(tmp_path)
    with create_engine(store.uri).connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 1  # NORMAL; 2 is FULL
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
