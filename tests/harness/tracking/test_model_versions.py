"""Model versions: is an adapter registered whole, once for its content?"""

from __future__ import annotations

from pathlib import Path

from mahals.harness.tracking.database import Store
from mahals.harness.tracking.model_versions import adapter_content
from mahals.harness.tracking.runs import publish
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.schema import VectorCard
from tests.support.synthetic_results import Made, card, vector_file
from tests.support.synthetic_results import write_results as write
from tests.support.tiny_lab import refused

NAME = "Mistral_7B.adapter.rejected"


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
