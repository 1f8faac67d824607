"""Paths: is the project found from below, and its absence named?"""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.harness.workspace.paths import Workspace
from mahals.records import InputError
from tests.support import toy_study as toy


def test_the_workspace_is_found_from_below_and_its_absence_named(tmp_path: Path) -> None:
    toy.make(tmp_path / "project")
    below = tmp_path / "project/a/b"
    below.mkdir(parents=True)
    assert Workspace.locate(below).root == tmp_path / "project"
    with pytest.raises(InputError, match="clone of the project"):
        Workspace.locate(tmp_path)
