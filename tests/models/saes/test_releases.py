"""Does the table name the study's models, and is a release read from its folder or fetched once?"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml

from mahals.models.saes.autoencoder import tensors_of
from mahals.models.saes.files import write_sae
from mahals.models.saes.releases import SaeRelease, read_release, release_of
from mahals.records import InputError
from tests.support.places import ROOT
from tests.support.small_saes import D, M, small

TABLE = ROOT / "benchmarks" / "published" / "sae_releases.json"
ENTRY = SaeRelease("toy-release", "layer_3", "org/toy", "toy", 3, 2, D, M, "a test", "")
STUDY = {  # steered block of ../shared/reference/published_esr.json, and the autoencoder's
    "Llama3_3_70B": ("meta-llama/Llama-3.3-70B-Instruct", 33, 50),
    "Llama3_8B": ("meta-llama/Llama-3.1-8B-Instruct", 12, 19),
    "Gemma2_27B": ("google/gemma-2-27b-it", 22, 22),
    "Gemma2_9B": ("google/gemma-2-9b-it", 26, 26),
    "Gemma2_2B": ("google/gemma-2-2b-it", 16, 16),
}


def releases() -> dict[str, SaeRelease]:
    """Every release of the table, by the registry's key of its model."""
    found = {key: release_of(TABLE, key) for key in json.loads(TABLE.read_text())["releases"]}
    return {key: entry for key, entry in found.items() if entry is not None}


def test_the_table_holds_the_five_models_as_the_registry_has_them() -> None:
    registry = yaml.safe_load((ROOT / "benchmarks/models.yaml").read_text(encoding="utf-8"))
    table = releases()
    assert {
        k: (registry[k]["aligned"]["id"], e.steered, e.block) for k, e in table.items()
    } == STUDY
    for key, entry in table.items():
        assert entry.width == registry[key]["width"]
        assert entry.steered <= entry.block < registry[key]["layers"]
        assert entry.source
    assert release_of(TABLE, "Gemma2_3B") is None and release_of(TABLE, "SmolLM2_135M") is None


def test_a_bad_table_is_refused(tmp_path: Path) -> None:
    for text in ("[]", "{}", '{"releases": 3}', "no json"):
        (tmp_path / "t.json").write_text(text)
        with pytest.raises(InputError, match=r"t\.json.*name benchmarks/published") as error:
            release_of(tmp_path / "t.json", "Gemma2_2B")
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match=r"none\.json.*FileNotFoundError"):
        release_of(tmp_path / "none.json", "Gemma2_2B")


def test_no_block_above_the_one_that_is_read_is_steered(tmp_path: Path) -> None:
    table = {"releases": {"A": vars(replace(ENTRY, steered=4))}}
    (tmp_path / "t.json").write_text(json.dumps(table))
    with pytest.raises(InputError, match=r"steered block of t\.json\.A.*from 0 to 3.*4"):
        release_of(tmp_path / "t.json", "A")


def describe(folder: Path, **facts: str) -> None:
    """Adds what sae-lens writes about where an autoencoder belongs."""
    config = json.loads((folder / "cfg.json").read_text())
    config["metadata"] |= facts
    (folder / "cfg.json").write_text(json.dumps(config))


def test_a_folder_is_read_without_sae_lens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sae_lens", None)
    write_sae(tmp_path, small("jumprelu"))
    for facts in ({}, {"hook_name": "blocks.3.hook_resid_post", "model_name": "toy"}):
        describe(tmp_path, **facts)
        found = tensors_of(read_release(ENTRY, tmp_path))
        assert all(torch.equal(found[k], t) for k, t in tensors_of(small("jumprelu")).items())


def test_another_width_size_block_or_model_is_refused(tmp_path: Path) -> None:
    write_sae(tmp_path, small("relu"))
    describe(tmp_path, hook_name="blocks.3.hook_resid_post", model_name="toy")
    others = (("width", D + 1, "W_dec"), ("latents", M + 1, "W_dec"), ("block", 2, r"blocks\.2"))
    for field, value, named in (*others, ("trained_on", "toy-2", "model_name.*toy-2")):
        with pytest.raises(InputError, match=named):
            read_release(replace(ENTRY, **{field: value}), tmp_path)  # type: ignore[arg-type]


def test_what_is_fetched_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def from_pretrained(release: str, sae_id: str) -> SimpleNamespace:
        asked.append((release, sae_id))
        turned = torch.nn.Parameter(small("topk").w_dec.T.contiguous().T)  # as Goodfire's are

        def save_model(folder: Path) -> None:
            assert turned.is_contiguous(), "safetensors refuses it"
            write_sae(folder, replace(small("topk"), w_dec=turned.detach()))

        return SimpleNamespace(parameters=lambda: [turned], save_model=save_model)

    lens = SimpleNamespace(SAE=SimpleNamespace(from_pretrained=from_pretrained))
    lens.__spec__ = importlib.util.find_spec("json")
    monkeypatch.setitem(sys.modules, "sae_lens", lens)
    first, again = (read_release(ENTRY, tmp_path / "new") for _ in range(2))
    assert asked == [("toy-release", "layer_3")]
    assert torch.equal(first.w_dec, again.w_dec) and torch.equal(first.w_dec, small("topk").w_dec)

    def offline(release: str, sae_id: str) -> None:
        raise OSError("no route\nto the hub")

    lens.SAE.from_pretrained = offline
    with pytest.raises(InputError, match=r"toy-release.*OSError; no route\); connect"):
        read_release(ENTRY, tmp_path / "other")


def test_without_sae_lens_the_extra_is_named(tmp_path: Path) -> None:
    if importlib.util.find_spec("sae_lens") is not None:
        pytest.skip("sae-lens is installed")
    with pytest.raises(InputError, match=r"org/toy.*pip install 'mahals\[sae\]'"):
        read_release(ENTRY, tmp_path)


@pytest.mark.slow
def test_sae_lens_knows_every_release_of_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own list has the names, and what it saves is read; nothing is fetched."""
    lens = pytest.importorskip("sae_lens", reason="sae-lens is an extra: pip install '.[sae]'")
    listed = importlib.import_module("sae_lens.loading.pretrained_saes_directory")
    known = listed.get_pretrained_saes_directory()
    for entry in releases().values():
        assert known[entry.release].repo_id == entry.repository
        assert entry.sae_id in known[entry.release].saes_map
    write_sae(tmp_path / "theirs", small("jumprelu"))
    describe(tmp_path / "theirs", hook_name="blocks.3.hook_resid_post", model_name="toy")
    local = lens.SAE.load_from_disk(tmp_path / "theirs")
    local.W_dec.data = local.W_dec.data.T.contiguous().T  # as Goodfire's are
    monkeypatch.setattr(lens.SAE, "from_pretrained", lambda release, sae_id: local)
    found = read_release(ENTRY, tmp_path / "kept")
    assert torch.equal(found.w_enc, small("jumprelu").w_enc)
    with pytest.raises(InputError, match=r"blocks\.2"):
        read_release(replace(ENTRY, block=2), tmp_path / "kept")
