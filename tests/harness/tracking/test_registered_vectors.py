"""Registered vectors: does each load back as it was kept, and is the best one champion?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load as load_tensors

import mahals
from mahals.harness.tracking.database import Store
from mahals.harness.tracking.registered_vectors import choose_champion, load_vector
from mahals.harness.tracking.runs import publish
from mahals.harness.tracking.vector_files import export_pth
from mahals.harness.workspace.paths import Workspace
from mahals.records import InputError
from tests.support.synthetic_results import Made, card, vector_file
from tests.support.synthetic_results import write_results as write
from tests.support.tracked_vectors import model_of, runs_of, with_vector


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
