"""Model registry: is an unknown model or key told the nearest one?"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mahals.harness.workspace.model_registry import (
    check_architectures,
    check_models,
    load_registry,
)
from mahals.harness.workspace.paths import Workspace
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
