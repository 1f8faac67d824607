"""Fixtures: a workspace without results, and an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.harness.tracking.database import Store
from mahals.harness.workspace.paths import Workspace
from tests.support.synthetic_results import empty_store, workspace


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    return workspace(tmp_path)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    return empty_store(tmp_path)
