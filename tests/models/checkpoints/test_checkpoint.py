"""Does a folder load as it is, and is a damaged one refused in one line?"""

import hashlib
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from mahals.models.checkpoints.checkpoint import load_checkpoint, random_weights
from mahals.records import InputError
from tests.support.checkpoint_folders import IDS, NAMES, one_line
from tests.support.other_families import other
from tests.support.tiny_models import LAYERS, WIDTH, loaded, tokenizer


def test_a_folder_loads_and_its_revision_is_the_hash_of_its_weights(folder, capfd):
    at = load_checkpoint(folder, revision=None, **NAMES)
    with torch.inference_mode():
        assert torch.equal(at.model(IDS).logits, loaded("Llama").model(IDS).logits)
    assert "Loading" not in capfd.readouterr().err
    name = "model.safetensors"
    expected = hashlib.sha256(name.encode() + b"\0" + (folder / name).read_bytes()).hexdigest()
    assert at.revision == expected
    assert (at.layers, at.width, at.context, at.role) == (LAYERS, WIDTH, 128, "base")
    assert not at.model.training and at.model.dtype == torch.float32
    weights = load_file(folder / name)
    weights["lm_head.weight"][0, 0] += 1
    save_file(weights, folder / name, metadata={"format": "pt"})
    assert load_checkpoint(str(folder), revision=None, **NAMES).revision != expected


def spoil(folder, how):
    weights = folder / "model.safetensors"
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:1000])
    if how == "missing key":
        save_file(
            {k: v for k, v in load_file(weights).items() if "layers.2.mlp.up" not in k},
            weights,
            metadata={"format": "pt"},
        )
    if how == "no weights":
        weights.unlink()
    if how == "other shape":
        data = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(data | {"intermediate_size": 64}))
    if how == "no tokenizer":
        for path in folder.glob("token*"):
            path.unlink()
    if how == "tokenizer too large":
        larger = tokenizer.__wrapped__()
        larger.add_tokens(["another", "word"])
        larger.save_pretrained(folder)


@pytest.mark.parametrize(
    "how",
    [
        "truncated",
        "missing key",
        "no weights",
        "other shape",
        "no tokenizer",
        "tokenizer too large",
    ],
)
def test_a_damaged_folder_is_refused(folder, how):
    spoil(folder, how)
    with pytest.raises(InputError, match="make or download it again") as error:
        load_checkpoint(folder, revision=None, **NAMES)
    one_line(error)


@pytest.mark.parametrize("family, told", [("rwkv", "RwkvForCausalLM"), ("mamba2", "Mamba2For")])
def test_an_unfit_model_is_refused_when_it_is_loaded(tmp_path, monkeypatch, family, told):
    monkeypatch.setattr("mahals.models.checkpoints.architectures.RECURRENT", ())
    at = other(family)
    at.model.save_pretrained(tmp_path)
    at.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=f"architecture {told}.*models.yaml") as error:
        load_checkpoint(tmp_path, revision=None, **NAMES)
    one_line(error)


def test_an_opt_model_loads_and_is_whole(tmp_path):
    at = other("OPT")
    at.model.save_pretrained(tmp_path)
    at.tokenizer.save_pretrained(tmp_path)
    again = load_checkpoint(tmp_path, revision=None, **NAMES)
    with torch.inference_mode():
        assert torch.equal(again.model(IDS).logits, at.model(IDS).logits)


def test_wrong_arguments_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="revision=None"):
        load_checkpoint(folder, revision="main", **NAMES)
    with pytest.raises(InputError, match="no such folder"):
        load_checkpoint(tmp_path / "absent", revision=None, **NAMES)


def test_random_weights_depend_on_the_seed_alone():
    at = loaded("Gemma2")
    before = at.model.model.layers[0].mlp.up_proj.weight.clone()
    state = torch.get_rng_state()
    one, same, other = random_weights(at, 1), random_weights(at, 1), random_weights(at, 2)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.inference_mode():
        logits = [m.model(IDS).logits for m in (one, same, other, at)]
    assert torch.equal(logits[0], logits[1])
    assert not torch.allclose(logits[0], logits[2]) and not torch.allclose(logits[0], logits[3])
    assert (one.role, one.revision) == ("random", "random:1")
    assert torch.equal(before, at.model.model.layers[0].mlp.up_proj.weight)
