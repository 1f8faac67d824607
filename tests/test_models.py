import hashlib
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import constants, errors
from safetensors.torch import load_file, save_file
from transformers import CohereConfig, CohereForCausalLM

from mahals.models.checkpoints.blocks import decoder_blocks, vocabulary_tail
from mahals.models.checkpoints.checkpoint import load_checkpoint, random_weights
from mahals.models.checkpoints.hub import available_locally
from mahals.models.checkpoints.registry import HubRef, ModelEntry
from mahals.records import InputError, from_plain
from tests.support.tiny_models import FAMILIES, LAYERS, WIDTH, config, fresh, loaded, tokenizer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
IDS = torch.tensor([[1, 40, 41, 42, 43, 44]])
NAMES = {"key": "k", "role": "base", "weights": "hub"}


@pytest.fixture
def folder(tmp_path):
    here = tmp_path / "made"
    made = fresh("Llama")
    made.model.save_pretrained(here)
    made.tokenizer.save_pretrained(here)
    return here


@pytest.fixture
def cache(tmp_path, folder):
    """A hub cache that holds org/name at COMMIT, branch main."""
    repo = tmp_path / "hub" / "models--org--name"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    shutil.copytree(folder, repo / "snapshots" / COMMIT)
    return tmp_path / "hub"


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.is_offline_mode", lambda: True)


def one_line(error):
    text = str(error.value)
    assert "\n" not in text and len(text) < 700
    return text


@pytest.mark.parametrize("family", FAMILIES)
def test_blocks_are_the_ones_that_run(family):
    at = loaded(family)
    blocks = decoder_blocks(at.model)
    ran = []
    handles = [b.register_forward_hook(lambda m, *_: ran.append(m)) for b in blocks]
    at.model(IDS)
    for handle in handles:
        handle.remove()
    assert len(blocks) == LAYERS and all(a is b for a, b in zip(ran, blocks, strict=True))


def test_no_blocks_is_an_error():
    model = torch.nn.Linear(2, 2)
    model.config = config("Llama")
    with pytest.raises(InputError, match="one list of 4 blocks"):
        decoder_blocks(model)


@pytest.mark.parametrize("family", FAMILIES)
def test_tail_gives_the_models_own_logits(family):
    at, kept = loaded(family), []
    handle = decoder_blocks(at.model)[-1].register_forward_hook(
        lambda m, a, out: kept.append(out if isinstance(out, torch.Tensor) else out[0])
    )
    with torch.inference_mode():
        logits = at.model(IDS).logits
        assert torch.equal(vocabulary_tail(at.model)(kept[0]), logits)
    handle.remove()


def test_an_unknown_head_is_refused():
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2}
    made = CohereConfig(vocab_size=64, num_hidden_layers=2, logit_scale=0.1, **sizes)
    with pytest.raises(InputError, match="head of CohereForCausalLM"):
        vocabulary_tail(CohereForCausalLM(made).eval())


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


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_the_hubs_cache_is_read_without_a_network(cache, offline, revision):
    assert available_locally(HubRef("org/name", revision), cache)
    at = load_checkpoint("org/name", revision=revision, cache=cache, **NAMES)
    assert at.revision == COMMIT
    with torch.inference_mode():
        assert torch.equal(at.model(IDS).logits, loaded("Llama").model(IDS).logits)


def test_what_the_cache_lacks_is_one_clear_line(cache, offline):
    for ref in (HubRef("org/other", "main"), HubRef("org/name", "f" * 40)):
        assert not available_locally(ref, cache)
        with pytest.raises(InputError, match="nothing in the cache") as error:
            load_checkpoint(ref.id, revision=ref.revision, cache=cache, **NAMES)
        assert ref.id in one_line(error)


def test_a_cache_without_all_shards_is_not_there(cache, offline):
    snapshot = cache / "models--org--name" / "snapshots" / COMMIT
    (snapshot / "model.safetensors").rename(snapshot / "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    assert not available_locally(HubRef("org/name", "main"), cache)


def refusals():
    response = SimpleNamespace(headers={}, status_code=403, request=None)
    return [
        (errors.GatedRepoError("no", response=response), "gated.*accept its licence"),
        (errors.RepositoryNotFoundError("no", response=response), "no such repository"),
        (errors.RevisionNotFoundError("no", response=response), "without that revision"),
        (errors.LocalEntryNotFoundError("no\nnet"), "nothing in the cache.*hf download"),
        (ConnectionError("down"), "ConnectionError: down"),
    ]


@pytest.mark.parametrize("raised, match", refusals())
def test_each_refusal_of_the_hub_says_its_cure(tmp_path, monkeypatch, raised, match):
    def refuse(*_, local_files_only=False, **__):
        raise errors.LocalEntryNotFoundError("not cached") if local_files_only else raised

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(InputError, match=match) as error:
        load_checkpoint("org/name", revision="main", cache=tmp_path, **NAMES)
    one_line(error)


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


def test_wrong_arguments_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="revision=None"):
        load_checkpoint(folder, revision="main", **NAMES)
    with pytest.raises(InputError, match="no such folder"):
        load_checkpoint(tmp_path / "absent", revision=None, **NAMES)
    with pytest.raises(InputError, match="unknown dtype"):
        load_checkpoint(folder, revision=None, dtype="float31", **NAMES)


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


def test_an_entry_is_read_from_plain_data():
    plain = {
        "key": "k",
        "family": "Llama",
        "pair": "sft->dpo",
        "base": None,
        "aligned": {"id": "a/b", "revision": "main"},
        "gated": False,
        "licence": "mit",
        "layers": 32,
        "width": 4096,
        "organism": {"width": 96, "tied": True},
        "note": "",
    }
    entry = from_plain(ModelEntry, plain)
    assert entry.aligned == HubRef("a/b", "main") and entry.organism["width"] == 96
    with pytest.raises(InputError, match="one of pretrained->instruct, sft->dpo"):
        from_plain(ModelEntry, plain | {"pair": "sft"})


def test_the_registry_is_read_without_torch():
    code = (
        "import sys; from mahals.models.checkpoints.hub import available_locally; "
        "from mahals.models.checkpoints.registry import HubRef, ModelEntry; "
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
