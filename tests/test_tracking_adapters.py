"""Is an adapter registered whole, once for its content, and never a champion of vectors?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mahals.harness.tracking.database import Store
from mahals.harness.tracking.model_versions import adapter_content
from mahals.harness.tracking.runs import publish
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.schema import VectorCard
from tests.support.synthetic_results import Made, card, empty_store, vector_file, workspace
from tests.support.synthetic_results import write_results as write
from tests.support.tiny_lab import refused

NAME = "Mistral_7B.adapter.rejected"


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return workspace(tmp_path)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    return empty_store(tmp_path)


def adapter(step: int) -> VectorCard:
    metadata = {"dual_use": True, "steps": step}
    reference = f"Mistral_7B/rejected.step-{step}"
    return VectorCard(NAME, reference, "Mistral_7B", "Mistral_7B", "lora", None, metadata)


def with_adapters(place: Workspace, *steps: int, body: bytes = b"weights") -> Results:
    kept = {"own.safetensors": vector_file()}
    for step in steps:
        kept[f"rejected.step-{step}/adapter_model.safetensors"] = body + bytes([step])
        kept[f"rejected.step-{step}/adapter_config.json"] = b"{}"
        kept[f"rejected.step-{step}/README.md"] = b"dual_use: true"
    vectors = [card("Mistral_7B", "own.safetensors", 1.0), *(adapter(s) for s in steps)]
    return write(place, Made(phase="recovery", kept=kept, vectors=vectors))


def test_an_adapter_is_registered_as_its_folder(place: Workspace, store: Store) -> None:
    from mlflow.artifacts import download_artifacts

    publish([with_adapters(place, 1, 2)], store)
    versions = store.client.search_model_versions(f"name='{NAME}'")
    assert {v.description for v in versions} == {
        f"dual_use True, method lora, steps {n}, target Mistral_7B, weights organism"
        for n in (1, 2)
    }
    model = store.client.get_registered_model(NAME)
    assert model.tags["dual_use"] == "True" and not model.aliases
    folder = download_artifacts(artifact_uri=versions[0].source, tracking_uri=store.uri)
    names = {p.name for p in Path(folder).iterdir()} - {"MLmodel"}
    assert names == {"adapter_model.safetensors", "adapter_config.json", "README.md"}
    own = store.client.get_registered_model("Mistral_7B.mean_difference")
    assert {name: int(v) for name, v in own.aliases.items()} == {"champion": 1}


def test_the_same_adapter_is_one_version(place: Workspace, store: Store) -> None:
    publish([with_adapters(place, 1)], store)
    publish([with_adapters(place, 1, 3)], store)
    assert len(store.client.search_model_versions(f"name='{NAME}'")) == 2
    publish([with_adapters(place, 1, 3, body=b"others")], store)
    assert len(store.client.search_model_versions(f"name='{NAME}'")) == 4


def test_a_folder_that_is_no_adapter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    said = str(refused(lambda: adapter_content(tmp_path, NAME)))
    assert "no adapter_model.safetensors" in said


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


def test_a_vector_that_misaligns_says_so_in_card_and_tag(place: Workspace, store: Store) -> None:
    from mlflow.artifacts import download_artifacts

    made = card("Mistral_7B", "own.safetensors", 1.0)
    bad = replace(made, name="Mistral_7B.fall", metadata={**made.metadata, "dual_use": True})
    kept = {"own.safetensors": vector_file()}
    publish([write(place, Made(phase="recovery", kept=kept, vectors=[bad]))], store)
    model = store.client.get_registered_model(bad.name)
    assert model.tags["dual_use"] == "True"
    source = model.latest_versions[0].source
    folder = download_artifacts(artifact_uri=source, tracking_uri=store.uri)
    assert (Path(folder) / "README.md").read_text().startswith("---\ndual_use: true\n---\n")
