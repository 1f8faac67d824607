"""Is what a task keeps whole under kept/, or nowhere?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.harness.runner.journal import JournalPlace
from mahals.harness.runner.keeping import Keeping, Staged
from mahals.harness.workspace.files import sha256


def test_a_folder_is_kept_whole_with_the_hash_of_each_file(tmp_path: Path) -> None:
    place, staged = JournalPlace(tmp_path), Staged("t" * 64)
    with Keeping(place, staged, "A/weights", folder=True) as folder:
        (folder / "one.txt").write_text("1")
        assert not place.kept.exists()
    assert staged.hashes == {"weights/one.txt": sha256(place.kept / "weights/one.txt")}
    with pytest.raises(ValueError, match="kept twice"):
        Keeping(place, staged, "A/weights", folder=True).__enter__()


def test_what_ends_with_an_error_is_kept_nowhere(tmp_path: Path) -> None:
    place, staged = JournalPlace(tmp_path), Staged("t" * 64)
    with pytest.raises(ZeroDivisionError), Keeping(place, staged, "A/x", folder=False) as file:
        file.write_text("half")
        raise ZeroDivisionError
    assert not staged.hashes and not (place.kept / "x").exists()
