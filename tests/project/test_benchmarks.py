"""Do the registry and the overlays say what they must, in words the code knows?"""

import re
from dataclasses import asdict

import pytest
import yaml

from mahals.harness.workspace.model_registry import load_registry
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import load_settings
from mahals.models.checkpoints.registry import ModelEntry
from mahals.models.organisms.shapes import FAMILIES, OrganismShape
from mahals.phase import RUN_KEYS, SHARED_KEYS, SHARED_SECTIONS
from mahals.phases.datasets.measure import Params
from mahals.phases.registry import PHASES
from mahals.records import from_plain
from tests.support.places import ROOT

REGISTRY = yaml.safe_load((ROOT / "benchmarks/models.yaml").read_text())
SIZES = {
    "smoke": (40, 40),
    "small": (40, 900),
    "sanity": (100, 100),
    "full": (200, 1000),
    "large": (500, 2000),
}
IDS = {
    "Mistral_7B": ("mistralai/Mistral-7B-v0.3", "mistralai/Mistral-7B-Instruct-v0.3"),
    "Llama3_8B": ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B-Instruct"),
    "Qwen2_7B": ("Qwen/Qwen2-7B", "Qwen/Qwen2-7B-Instruct"),
    "Gemma2_9B": ("google/gemma-2-9b", "google/gemma-2-9b-it"),
    "Falcon_7B": ("tiiuae/falcon-7b", "tiiuae/falcon-7b-instruct"),
    "Zephyr_7B": ("mistralai/Mistral-7B-v0.1", "HuggingFaceH4/zephyr-7b-beta"),
    "Phi3_mini": (None, "microsoft/Phi-3-mini-4k-instruct"),
    "Llama31_Tulu": ("allenai/Llama-3.1-Tulu-3-8B-SFT", "allenai/Llama-3.1-Tulu-3-8B-DPO"),
}


def _entries() -> dict[str, ModelEntry]:
    return load_registry(Workspace(ROOT))


def _organisms() -> dict[str, ModelEntry]:
    return {k: e for k, e in _entries().items() if e.organism is not None}


def test_the_registry_holds_the_eight_models_at_pinned_commits():
    entries = _organisms()
    found = {k: (e.base.id if e.base else None, e.aligned.id) for k, e in entries.items()}
    assert found == IDS
    pins = [r.revision for e in entries.values() for r in (e.base, e.aligned) if r]
    assert all(re.fullmatch("[0-9a-f]{40}", str(pin)) for pin in pins)
    assert len(set(pins)) == len(pins)


def test_only_a_model_without_a_base_is_instruct_only_and_says_so():
    entries = _entries()
    alone = {"Phi3_mini", "SmolLM2_135M_instruct"}
    assert {k for k, e in entries.items() if e.base is None} == alone
    assert {k for k, e in entries.items() if e.pair == "instruct-only"} == alone
    assert "never published" in entries["Phi3_mini"].note
    assert entries["Llama31_Tulu"].pair == "sft->dpo"


def test_every_organism_has_a_shape_of_its_own_of_the_models_family():
    shapes = {k: from_plain(OrganismShape, e.organism, k) for k, e in _organisms().items()}
    for key, entry in _organisms().items():
        assert shapes[key].family == entry.family in FAMILIES
        assert shapes[key].width % shapes[key].heads == 0
    sizes = {tuple(sorted(asdict(shape).items())) for shape in shapes.values()}
    assert len(sizes) == len(shapes)


@pytest.mark.parametrize("overlay", SIZES)
def test_an_overlay_changes_known_keys_to_the_agreed_sizes(overlay):
    over = yaml.safe_load((ROOT / f"benchmarks/{overlay}.yaml").read_text())
    plain = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert set(over) <= {*RUN_KEYS, *SHARED_KEYS, *SHARED_SECTIONS, *PHASES}
    for section, values in over.items():
        if isinstance(values, dict):
            assert set(values) <= set(plain[section])
    values = load_settings(Workspace(ROOT), overlay, {}).values
    merged = from_plain(Params, {**values["datasets"], "world": plain["world"]})
    assert (merged.per_cell, merged.pairs_per_split) == SIZES[overlay]
    suite, vectors = values["suite"], values["steering_vectors"]
    pairs = vectors["pairs"]
    assert pairs <= merged.pairs_per_split
    assert suite["neutral"] <= merged.texts_per_split
    assert suite["tasks"] <= merged.tasks_per_split
    assert suite["answers"] <= merged.per_cell
    assert suite["nulls"] <= vectors["shuffles"], "so many nulls of shuffled pairs are asked for"


def test_the_smoke_overlay_is_two_models_and_five_arms_of_each_null_family():
    over = yaml.safe_load((ROOT / "benchmarks/smoke.yaml").read_text())
    assert sorted(over["models"]) == ["Llama3_8B", "Mistral_7B"]
    assert over["suite"]["nulls"] == 5
