"""Fixtures: one full figure of each kind."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from tests.support.sample_figures import NAMES, every_figure


@pytest.fixture(scope="module")
def figures() -> dict[str, Figure]:
    made = every_figure()
    assert tuple(made) == NAMES
    return made
