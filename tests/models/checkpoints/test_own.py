"""Checkpoint of one's own: does what is typed mean the weights, and is a place without refused?"""

import shutil

import pytest

from mahals.models.checkpoints.own import key_of, own_checkpoint, typed_ref
from mahals.models.checkpoints.registry import FolderRef, HubRef
from mahals.records import InputError
from tests.support.checkpoint_folders import one_line


def test_a_hub_cache_layout_means_its_snapshot(folder, tmp_path):
    repo = tmp_path / "models--org--name"
    shutil.copytree(folder, repo / "snapshots" / "abc")
    assert own_checkpoint(repo) == repo / "snapshots" / "abc"
    assert key_of(typed_ref(str(repo), tmp_path)) == "name"
    assert key_of(typed_ref(str(repo / "snapshots" / "abc"), tmp_path)) == "name"


def test_a_numbered_folder_of_a_trainer_is_named_after_its_run_too(folder, tmp_path):
    for run in ("first", "second"):
        shutil.copytree(folder, tmp_path / run / "checkpoint-500")
    named = [key_of(typed_ref(f"{run}/checkpoint-500", tmp_path)) for run in ("first", "second")]
    assert named == ["first_checkpoint_500", "second_checkpoint_500"]


def test_what_is_typed_is_a_place_or_a_hub_id(folder, tmp_path):
    assert typed_ref("made", folder.parent) == FolderRef(str(folder))
    assert typed_ref("org/name", tmp_path) == HubRef("org/name", "main")
    assert typed_ref("org/a.b-c@v1", tmp_path) == HubRef("org/a.b-c", "v1")
    assert key_of(HubRef("org/a.b-c", "v1")) == "a_b_c"
    for text in ("./none", "x/y.gguf", "/no/where", "name"):
        with pytest.raises(InputError, match="expected a folder of safetensors, a GGUF file") as e:
            typed_ref(text, tmp_path)
        one_line(e)


def refusals():
    return [
        (["config.json"], "a config and no weights"),
        ([], "no config.json"),
        (["config.json", "pytorch_model.bin"], "pickled weights alone .pytorch_model.bin"),
        (["a.gguf", "b.gguf"], "2 GGUF files; name one of them"),
    ]


@pytest.mark.parametrize("names, match", refusals())
def test_a_folder_without_weights_is_one_line(tmp_path, names, match):
    here = tmp_path / "mine"
    here.mkdir()
    for name in names:
        (here / name).write_text("{}")
    with pytest.raises(InputError, match=match) as error:
        own_checkpoint(here)
    assert "expected a folder with config.json and model.safetensors" in one_line(error)
