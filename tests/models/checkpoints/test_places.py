"""Places: is a checkpoint kept once, pinned by its bytes, and a damaged one never just absent?"""

import json
import shutil

import pytest

from mahals.models.checkpoints import gguf as gguf_module
from mahals.models.checkpoints.checkpoint import load_checkpoint
from mahals.models.checkpoints.registry import FolderRef
from mahals.records import InputError
from tests.support.checkpoint_folders import NAMES, one_line, places


@pytest.mark.parametrize("what", ["code", "transformers", "gguf"])
def test_a_file_is_read_anew_by_other_code_or_another_library(
    gguf_file, tmp_path, monkeypatch, what
):
    ref = FolderRef(str(gguf_file[1]))
    found = places(tmp_path).place(ref)
    weights, origin = found.folder / "model.safetensors", found.folder / "origin.json"
    first = weights.stat().st_ino
    assert places(tmp_path).place(ref) == found and weights.stat().st_ino == first
    told = json.loads(origin.read_text())
    assert set(told["reader"]) == {"code", "transformers", "gguf"}
    mark = places(tmp_path).mark(ref)
    monkeypatch.setattr(gguf_module, "reader", lambda: {**told["reader"], what: "another"})
    assert places(tmp_path).local(ref) is None and places(tmp_path).mark(ref) != mark
    assert places(tmp_path).place(ref) == found and weights.stat().st_ino != first
    assert json.loads(origin.read_text())["reader"][what] == "another"
    origin.write_text(json.dumps({"sha256": told["sha256"], "weights": told["weights"]}))
    assert places(tmp_path).local(ref) is None  # from before it was told


def test_a_damaged_or_mistyped_folder_is_said_and_never_just_absent(tmp_path):
    (tmp_path / "empty").mkdir()
    for path, match in (("empty", "no config.json"), ("nowhere", "no such folder")):
        with pytest.raises(InputError, match=match) as error:
            places(tmp_path).local(FolderRef(path))
        one_line(error)


def test_a_folder_is_pinned_by_its_weights_and_texts(folder, tmp_path):
    here, ref = places(tmp_path), FolderRef(str(folder))
    at, before = here.place(ref), here.mark(ref)
    loaded = load_checkpoint(at.folder, revision=None, known=at.revision, **NAMES)
    assert (
        loaded.revision == at.revision == load_checkpoint(folder, revision=None, **NAMES).revision
    )
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    assert here.mark(FolderRef(str(moved))) == before  # not by where it lies
    (folder / "chat_template.jinja").write_text("other")
    assert here.mark(ref)["weights"] == before["weights"] and here.mark(ref) != before
    weights = folder / "model.safetensors"
    body = bytearray(weights.read_bytes())
    body[-1] ^= 1
    weights.write_bytes(body)
    assert here.mark(ref)["weights"] != before["weights"]
