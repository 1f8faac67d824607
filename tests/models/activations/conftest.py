"""A cache of states of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from mahals.phase import StatesPlace


@pytest.fixture
def cache(tmp_path: Path) -> StatesPlace:
    return StatesPlace(tmp_path / "states", 1 << 20)
