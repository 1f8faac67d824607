"""Fixtures: an empty store of runs."""

from __future__ import annotations

import pytest

from mahals.harness.tracking.database import Store
from tests.support.synthetic_results import empty_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return empty_store(tmp_path_factory.mktemp("project"))
