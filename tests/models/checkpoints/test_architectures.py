"""Is a recurrent family refused before any weight is read?"""

import json

import pytest

from mahals.models.checkpoints.architectures import (
    RECURRENT,
    refuse_recurrent,
    refuse_recurrent_hub,
)
from mahals.models.checkpoints.checkpoint import load_checkpoint
from mahals.models.checkpoints.registry import HubRef
from mahals.records import InputError
from tests.support import other_families
from tests.support.checkpoint_folders import NAMES, one_line

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_the_list_is_of_families_that_are_shown_to_be_unfit():
    assert set(RECURRENT) == set(other_families.RECURRENT)


@pytest.mark.parametrize("family", RECURRENT)
def test_its_config_is_refused_before_its_weights_are_read(folder, family, monkeypatch):
    monkeypatch.setattr(
        "mahals.models.checkpoints.checkpoint.AutoModelForCausalLM.from_pretrained",
        lambda *_, **__: pytest.fail("weights are read"),
    )
    (folder / "config.json").write_text(json.dumps({"model_type": family}))
    with pytest.raises(InputError, match=f"architecture {family} of .*made") as error:
        load_checkpoint(folder, revision=None, **NAMES)
    one_line(error)


@pytest.fixture
def cache(tmp_path):
    """A hub cache that holds no more than the config of org/name."""
    repo = tmp_path / "hub" / "models--org--name"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    (repo / "snapshots" / COMMIT).mkdir(parents=True)
    (repo / "snapshots" / COMMIT / "config.json").write_text(json.dumps({"model_type": "rwkv"}))
    return tmp_path / "hub"


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_a_hub_checkpoint_is_refused_by_the_config_in_the_cache(cache, revision):
    with pytest.raises(InputError, match="architecture rwkv of"):
        refuse_recurrent_hub(HubRef("org/name", revision), "Llama", cache)
    refuse_recurrent_hub(HubRef("org/name", "f" * 40), "Llama", cache)  # nothing is known of it


@pytest.mark.parametrize("family", ["Rwkv", "RWKV", "FalconMamba", "recurrent_gemma"])
def test_a_hub_checkpoint_is_refused_by_the_family_of_the_registry(tmp_path, family):
    with pytest.raises(InputError, match="of org/name"):
        refuse_recurrent_hub(HubRef("org/name", "main"), family, tmp_path)


@pytest.mark.parametrize("family", ["Llama", "Falcon", "Gemma2", "OPT"])
def test_other_families_go_on(folder, tmp_path, family):
    refuse_recurrent(folder)
    refuse_recurrent_hub(HubRef("org/name", "main"), family, tmp_path)
