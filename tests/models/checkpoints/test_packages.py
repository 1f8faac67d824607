"""Package: is the file that it carries the one that is named, and nothing kept where it is not?"""

import os
import shutil
import zipfile

import pytest

from mahals.models.checkpoints.packages import WHEELS
from mahals.models.checkpoints.registry import FolderRef, PackagePart, PackageRef
from mahals.records import InputError
from tests.support.checkpoint_folders import one_line, places, sha256


def wheel(folder, name, files):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for at, body in files.items():
            archive.writestr(at, body)


def package(file, tmp_path, hashed=None):
    """A file cut in two over two packages, put where they are looked for."""
    body, at = file.read_bytes(), tmp_path / "store" / WHEELS
    wheel(at, "big_model", {"big/LICENCE": b"do no harm"})
    wheel(at, "big_model_a", {"a/x.0": body[:1000]})
    wheel(at, "big_model_b", {"b/x.1": body[1000:]})
    parts = (PackagePart("big-model-a", "a/x.0"), PackagePart("big-model-b", "b/x.1"))
    digest = hashed or sha256(file)
    return PackageRef("big-model", "1.0", "tiny.gguf", digest, parts, "big/LICENCE")


def test_a_package_in_parts_is_the_same_checkpoint(gguf_file, tmp_path):
    ref = package(gguf_file[1], tmp_path)
    assert places(tmp_path).local(ref) is None
    found = places(tmp_path).place(ref)
    assert found == places(tmp_path).place(FolderRef(str(gguf_file[1])))
    assert places(tmp_path).mark(ref) == places(tmp_path).mark(FolderRef(str(gguf_file[1])))
    assert (found.folder / "LICENCE").read_bytes() == b"do no harm"
    assert not list(found.folder.glob("*.gguf")) and places(tmp_path).local(ref) == found.folder
    shutil.rmtree(tmp_path / "store" / WHEELS)
    assert places(tmp_path).place(ref) == found  # kept: no package is asked for again


def test_a_package_with_another_hash_is_refused_and_nothing_kept(gguf_file, tmp_path):
    ref = package(gguf_file[1], tmp_path, "0" * 64)
    with pytest.raises(
        InputError, match=f"expected SHA-256 {'0' * 64}, got {sha256(gguf_file[1])}"
    ) as e:
        places(tmp_path).place(ref)
    assert "do not use it" in one_line(e)
    assert places(tmp_path).local(ref) is None
    assert not list((tmp_path / "store").glob(".draft*"))


def test_without_a_network_it_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "nowhere").as_uri())
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    ref = PackageRef("no-such-model", "1.0", "a.gguf", "0" * 64, (), "")
    with pytest.raises(InputError, match=r"pip download --no-deps no-such-model==1.0") as error:
        places(tmp_path).place(ref)
    said = one_line(error)
    assert f"no_such_model-1.0-py3-none-any.whl into {tmp_path / 'store' / WHEELS}" in said
