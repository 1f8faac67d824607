"""Tracked vectors: what results hold a vector, and which runs does a store have of them?"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from mahals.harness.tracking.database import Store
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from tests.support.synthetic_results import Made, card, vector_file
from tests.support.synthetic_results import write_results as write

REVISION = "a" * 40  # of the synthetic cards


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
