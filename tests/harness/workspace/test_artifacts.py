"""Artifacts: is a kept file that changed or is gone refused by name?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.harness.workspace.files import write_atomic
from mahals.records import InputError


def test_a_kept_file_that_changed_is_refused_by_name(tmp_path: Path) -> None:
    from mahals.harness.workspace.artifacts import KeptFiles, KeptPlace

    (tmp_path / "kept").mkdir()
    write_atomic(tmp_path / "kept/v.safetensors", b"not tensors")
    import hashlib

    hashes = {"v.safetensors": hashlib.sha256(b"not tensors").hexdigest()}
    kept = KeptFiles("grow", {"A": KeptPlace(tmp_path / "kept", hashes)})
    assert kept.path("A/v.safetensors").read_bytes() == b"not tensors"
    with pytest.raises(InputError, match="expected a safetensors file"):
        kept.tensors("A/v.safetensors")
    with pytest.raises(InputError, match="unknown unit of grow"):
        kept.path("B/v.safetensors")
    with pytest.raises(InputError, match="got no file"):
        kept.path("A/w.safetensors")
    (tmp_path / "kept/v.safetensors").write_bytes(b"other bytes!")
    with pytest.raises(InputError, match="got other bytes"):
        kept.path("A/v.safetensors")
