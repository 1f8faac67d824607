"""Fixtures: on which bench are arms scored here?"""

from __future__ import annotations

from typing import Any

import pytest

from mahals.evaluation.bench import bench
from tests.support.tiny_lab import SUITE, TinyLab


@pytest.fixture(scope="module")
def at() -> Any:
    return bench(TinyLab(), "A", "base", SUITE, "evaluation")
