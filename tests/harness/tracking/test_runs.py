"""Runs: is each result published once, whole, and a failure never left running?"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from mahals.harness.tracking.database import Store
from mahals.harness.tracking.runs import flattened, mark_failed, publish
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.records import InputError
from tests.support.synthetic_results import Made, empty_store, entry, steered, workspace
from tests.support.synthetic_results import write_results as write
from tests.support.tracked_vectors import runs_of, with_vector


def test_publishing_twice_makes_one_run(place: Workspace, store: Store) -> None:
    made = [write(place, Made(unit=unit)) for unit in ("Mistral_7B", "Qwen2_7B")]
    assert publish(made, store).made == 2
    again = publish(made, store)
    assert again.made == 0
    assert sorted(again.runs) == sorted(r.fingerprint for r in made)
    assert len(runs_of(store, "same_arch")) == 2


def test_a_unit_that_is_told_again_takes_the_place_of_its_run(
    place: Workspace, store: Store
) -> None:
    made = write(place, Made())
    first = publish([made], store).runs[made.fingerprint]
    summary = made.folder / "summary.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"code": "d" * 64}))
    again = publish([made], store)
    second = again.runs[made.fingerprint]
    assert again.made == 1 and second != first
    assert [run.info.run_id for run in runs_of(store, "same_arch")] == [second]
    assert publish([made], store).made == 0


def test_of_two_copies_of_a_result_the_canonical_one_is_shown(
    place: Workspace, store: Store
) -> None:
    made = write(place, Made())
    copy = Results(place, made.phase, made.unit, place.runs / made.fingerprint, made.fingerprint)
    shutil.copytree(made.folder, copy.folder)
    summary = copy.folder / "summary.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"code": "d" * 64}))
    first = publish([copy, made], store)
    (run,) = runs_of(store, "same_arch")
    assert first.made == 1 and run.data.tags["mahals.told"] == "c" * 64
    assert publish([made, copy], store).made == 0


def test_results_of_a_time_that_wrote_no_code_are_published(place: Workspace, store: Store) -> None:
    made = write(place, Made())
    summary = made.folder / "summary.json"
    told = json.loads(summary.read_text())
    del told["code"]
    summary.write_text(json.dumps(told))
    assert publish([made], store).made == 1 and publish([made], store).made == 0


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
    assert [f.path for f in figures] == [
        f"figures/aqi_vs_lambda.{x}" for x in ("pdf", "png", "svg")
    ]
    assert "report.md" in [f.path for f in store.client.list_artifacts(run.info.run_id)]
    assert tags["mlflow.note.content"].startswith("*organism weights, training seed 0")
    assert tags["mlflow.note.content"].endswith("\n\nA sentence.")
    rows = (upstream / "rows.jsonl").read_bytes()
    expected = {"results/organisms/Mistral_7B/rows.jsonl": hashlib.md5(rows).hexdigest()}
    found = {d.dataset.name: d.dataset.digest for d in run.inputs.dataset_inputs}
    assert found == expected
    assert Path(run.info.artifact_uri.removeprefix("file://")).is_relative_to(store.root)


def test_a_run_is_the_child_of_the_first_that_made_it(place: Workspace, store: Store) -> None:
    made = write(place, Made())
    first = publish([made], store, parent="a" * 32).runs[made.fingerprint]
    assert publish([made], store, parent="b" * 32).runs[made.fingerprint] == first
    summary = made.folder / "summary.json"
    summary.write_text(summary.read_text().replace("c" * 64, "d" * 64))  # told anew
    again = publish([made], store, parent="b" * 32).runs[made.fingerprint]
    assert again != first
    assert store.client.get_run(again).data.tags["mlflow.parentRunId"] == "a" * 32
    other = write(place, Made(unit="Qwen2_7B"))
    alone = store.client.get_run(publish([other], store).runs[other.fingerprint])
    assert "mlflow.parentRunId" not in alone.data.tags


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


def test_kept_json_lines_are_tables_and_large_ones_are_not(
    place: Workspace, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    lines = b'{"question": "a", "score": 1}\n{"question": "b", "talk": ["x", "y"]}\n'
    kept = {"answers.jsonl": lines, "long.jsonl": lines * 9, "other.txt": b"{}"}
    monkeypatch.setattr("mahals.harness.tracking.runs.TABLE_BYTES", len(lines))
    publish([write(place, Made(phase="em_finetune", kept=kept))], store)
    experiment = store.experiment("em_finetune")
    run = store.client.search_runs([experiment])[0].info.run_id
    assert [f.path for f in store.client.list_artifacts(run, "tables")] == ["tables/answers.json"]
    mlflow.set_tracking_uri(store.uri)
    table = store.client.load_table(experiment, "tables/answers.json", [run])
    assert table["question"].tolist() == ["a", "b"]
    assert table["talk"].tolist()[1] == ["x", "y"] and table["score"].tolist()[0] == 1
