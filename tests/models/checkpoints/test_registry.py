"""Is an entry of the registry read from plain data, without torch?"""

import subprocess
import sys

import pytest

from mahals.models.checkpoints.registry import FolderRef, HubRef, PackageRef, entry_of
from mahals.records import InputError


def test_an_entry_is_read_from_plain_data():
    plain = {
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
    entry = entry_of("k", plain, "k")
    assert entry.aligned == HubRef("a/b", "main") and entry.organism["width"] == 96
    with pytest.raises(InputError, match="one of pretrained->instruct, sft->dpo"):
        entry_of("k", plain | {"pair": "sft"}, "k")


@pytest.mark.parametrize(
    "place, ref",
    [
        ({"id": "org/name"}, HubRef("org/name", "main")),
        ({"id": "org/name", "revision": "f" * 40}, HubRef("org/name", "f" * 40)),
        ({"path": "./mine"}, FolderRef("./mine")),
        (
            {"package": {"name": "p", "version": "1", "file": "a.gguf", "sha256": "0"}},
            PackageRef("p", "1", "a.gguf", "0", (), ""),
        ),
    ],
)
def test_two_lines_are_an_entry(place, ref):
    entry = entry_of("k", place, "k")
    assert (entry.base, entry.aligned, entry.pair) == (None, ref, "instruct-only")
    assert (entry.family, entry.layers, entry.width, entry.organism) == (None,) * 4
    entry = entry_of("k", {**place, "role": "base"}, "k")
    assert (entry.base, entry.aligned, entry.pair) == (ref, None, "base-only")


@pytest.mark.parametrize(
    "data, match",
    [
        ({"family": "Llama"}, "k: expected a checkpoint, got none; add `id:"),
        ({"id": "a/b", "path": "x"}, "k.aligned: expected one of id, path, package"),
        ({"id": "a/b", "role": "both"}, "k.role: expected base or aligned, got 'both'"),
        ({"id": "a/b", "licens": "x"}, "did you mean 'licence'"),
        ({"package": {"name": "p"}}, "k.aligned.package: .*none for version, file, sha256"),
        ("x", "k: expected a mapping"),
    ],
)
def test_what_no_entry_can_be_is_one_line(data, match):
    with pytest.raises(InputError, match=match) as error:
        entry_of("k", data, "k")
    assert "\n" not in str(error.value)


def test_the_registry_is_read_without_torch():
    code = (
        "import sys; from mahals.models.checkpoints.architectures import refuse_recurrent_hub; "
        "from mahals.models.checkpoints.hub import cached_folder; "
        "from mahals.models.checkpoints.registry import HubRef, ModelEntry; "
        "from mahals.models.checkpoints.places import Places; "
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
