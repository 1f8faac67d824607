"""Fixtures: what the generated files follow from, and the stages that DVC sees."""

from __future__ import annotations

from typing import Any

import pytest

from mahals.harness.manifests.sources import Sources
from tests.support.manifests import sources_here, stages_here


@pytest.fixture(scope="module")
def sources() -> Sources:
    return sources_here()


@pytest.fixture(scope="module")
def stages(sources: Sources) -> dict[str, Any]:
    return stages_here()
