"""Model registry: is an unknown model or key told the nearest one?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from mahals.harness.workspace.fingerprint import Resolver
from mahals.harness.workspace.model_registry import (
    check_architectures,
    check_models,
    check_organisms,
    check_places,
    load_registry,
)
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import load_settings
from mahals.models.checkpoints.registry import FolderRef
from mahals.records import InputError
from tests.support import toy_study as toy


def test_the_registry_names_the_nearest_model(tmp_path: Path) -> None:
    registry = load_registry(toy.make(tmp_path))
    assert list(registry) == ["A", "B", "C"]
    with pytest.raises(InputError, match="unknown model"):
        check_models(["D"], registry)
    entry = toy.entry("A") | {"licens": "x"}
    (tmp_path / "benchmarks/models.yaml").write_text(yaml.safe_dump({"A": entry}))
    with pytest.raises(InputError, match="did you mean 'licence'"):
        load_registry(Workspace(tmp_path))


def test_a_recurrent_family_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    toy.make(tmp_path)
    entries = {"A": toy.entry("A"), "B": toy.entry("B") | {"family": "Rwkv"}}
    (tmp_path / "benchmarks/models.yaml").write_text(yaml.safe_dump(entries))
    registry = load_registry(Workspace(tmp_path))
    check_architectures(["A"], registry)
    with pytest.raises(InputError, match="architecture rwkv of") as error:
        check_architectures(["A", "B"], registry)
    assert registry["B"].base is not None and registry["B"].base.id in str(error.value)


def test_a_real_checkpoint_alone_has_no_organism(tmp_path: Path) -> None:
    toy.make(tmp_path)
    entries = {"A": toy.entry("A"), "Mine": {"id": "org/name"}}
    (tmp_path / "benchmarks/models.yaml").write_text(yaml.safe_dump(entries))
    registry = load_registry(Workspace(tmp_path))
    check_organisms(["A"], registry)
    with pytest.raises(InputError, match=r"organism of Mine: expected .* A, got Mine, a real") as e:
        check_organisms(["A", "Mine"], registry)
    assert "weights=hub" in str(e.value)


def checkpoint(folder: Path, template: bool) -> Path:
    """As much of a checkpoint as is read before its weights."""
    folder.mkdir()
    config = {"architectures": ["Qwen3ForCausalLM"], "num_hidden_layers": 7, "hidden_size": 24}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"weights")
    if template:
        (folder / "chat_template.jinja").write_text("{{ messages }}")
    return folder


def test_two_lines_are_completed_from_the_config(tmp_path: Path) -> None:
    toy.make(tmp_path)
    checkpoint(tmp_path / "mine", template=True)
    entries = {"Mine": {"path": "./mine"}, "Gone": {"path": "./gone"}}
    (tmp_path / "benchmarks/models.yaml").write_text(yaml.safe_dump(entries))
    registry = load_registry(Workspace(tmp_path))
    assert (registry["Mine"].family, registry["Mine"].layers) == ("Qwen3", 7)
    assert registry["Mine"].width == 24 and registry["Gone"].layers is None
    check_places(["Mine"], registry, Workspace(tmp_path))
    with pytest.raises(InputError, match=r"gone: expected a folder with config.json"):
        check_places(["Mine", "Gone"], registry, Workspace(tmp_path))


def test_terms_are_accepted_before_a_package_is_fetched(tmp_path: Path) -> None:
    toy.make(tmp_path)
    package = {"name": "p", "version": "1", "file": "a.gguf", "sha256": "0" * 64}
    entries = {"M": {"package": package, "terms": "https://terms", "layers": 1, "width": 1}}
    (tmp_path / "benchmarks/models.yaml").write_text(yaml.safe_dump(entries))
    registry = load_registry(Workspace(tmp_path))
    with pytest.raises(InputError, match=r"https://terms.*models --get M --accept-licence"):
        check_places(["M"], registry, Workspace(tmp_path))


@pytest.mark.parametrize("template, half", [(True, "aligned"), (False, "base")])
def test_model_names_one_checkpoint_and_says_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: bool, half: str
) -> None:
    workspace = toy.make(tmp_path)
    folder = checkpoint(tmp_path / "my-model.v1", template)
    monkeypatch.chdir(tmp_path)
    settings = load_settings(workspace, None, {"model": "./my-model.v1"})
    assert (settings.models, settings.weights) == (("my_model_v1",), "hub")
    entry = load_registry(workspace, settings.run.model)["my_model_v1"]
    assert getattr(entry, half) == FolderRef(str(folder)) and len(entry.refs) == 1
    (mark,) = [m for m in Resolver(workspace, settings)._model("my_model_v1").values() if m]
    assert set(mark) == {"weights", "texts"}
    assert load_settings(workspace, None, {"model": "A"}).models == ("A",)
    with pytest.raises(InputError, match=r"models=.* besides"):
        load_settings(workspace, None, {"model": "./my-model.v1", "models": ["A"]})
    with pytest.raises(InputError, match="weights=organism besides"):
        load_settings(workspace, None, {"model": "./my-model.v1", "weights": "organism"})
    with pytest.raises(InputError, match=r"checkpoint ./none: expected a folder of safetensors"):
        load_settings(workspace, None, {"model": "./none"})
