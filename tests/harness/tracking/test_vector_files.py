"""Vector files: is a damaged one refused?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.harness.tracking.database import Store
from mahals.harness.tracking.registered_vectors import load_vector
from mahals.harness.tracking.runs import publish
from mahals.harness.workspace.paths import Workspace
from mahals.records import InputError
from tests.support.synthetic_results import vector_file
from tests.support.tracked_vectors import with_vector


def test_damaged_vectors_are_refused(place: Workspace, store: Store, tmp_path: Path) -> None:
    publish([with_vector(place, 1.0)], store)
    uri = "models:/Mistral_7B.mean_difference/1"
    stored = next((store.root / "mlruns").rglob("vector.safetensors"))
    whole = stored.read_bytes()
    stored.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(InputError, match="damaged"):
        load_vector(uri, root=place.root)
    stored.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError):
        load_vector(uri, root=place.root)
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="steering vector"):
        load_vector(torn)
    torn.write_bytes(vector_file(name="other"))
    with pytest.raises(InputError, match="values"):
        load_vector(torn)
    with pytest.raises(InputError, match="none there"):
        load_vector(tmp_path / "absent.safetensors")
