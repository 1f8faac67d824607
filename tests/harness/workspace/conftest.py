"""Fixtures: a toy workspace that is finished."""

from __future__ import annotations

import pytest

from mahals.harness.workspace.paths import Workspace
from tests.support import toy_study as toy


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A toy workspace whose phases `words` and `grow` are finished."""
    workspace = toy.make(tmp_path_factory.mktemp("done"))
    toy.run(workspace, "grow")
    return workspace
