"""Is the hub's cache read without a network, and each refusal told with its cure?"""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import constants, errors

from mahals.models.checkpoints.checkpoint import load_checkpoint
from mahals.models.checkpoints.hub import cached_folder
from mahals.models.checkpoints.registry import HubRef
from mahals.records import InputError
from tests.support.checkpoint_folders import IDS, NAMES, one_line
from tests.support.tiny_models import loaded

COMMIT = "0123456789abcdef0123456789abcdef01234567"


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


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_the_hubs_cache_is_read_without_a_network(cache, offline, revision):
    assert cached_folder(HubRef("org/name", revision), cache)
    at = load_checkpoint("org/name", revision=revision, cache=cache, **NAMES)
    assert at.revision == COMMIT
    with torch.inference_mode():
        assert torch.equal(at.model(IDS).logits, loaded("Llama").model(IDS).logits)


def test_what_the_cache_lacks_is_one_clear_line(cache, offline):
    for ref in (HubRef("org/other", "main"), HubRef("org/name", "f" * 40)):
        assert not cached_folder(ref, cache)
        with pytest.raises(InputError, match="nothing in the cache") as error:
            load_checkpoint(ref.id, revision=ref.revision, cache=cache, **NAMES)
        assert ref.id in one_line(error)


def test_a_cache_without_all_shards_is_not_there(cache, offline):
    snapshot = cache / "models--org--name" / "snapshots" / COMMIT
    (snapshot / "model.safetensors").rename(snapshot / "model-1.safetensors")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    assert not cached_folder(HubRef("org/name", "main"), cache)


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
