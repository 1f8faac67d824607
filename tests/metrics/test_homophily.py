"""Does homophily span [0, 1] for every number of agents, and name the weakest link?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.metrics.homophily import homophily
from mahals.records import InputError


def test_two_agents_by_hand() -> None:
    found = homophily([[10, 20, 30, 40, 50, 60, 70], [20, 10, 30, 40, 50, 60, 0]])
    assert found.value == pytest.approx(1 - (10 + 10 + 70) / 700)
    assert found.weakest_agent == (0, 1, 0, 0, 0, 0, 1)
    assert found.weakest_value == (10, 10, 30, 40, 50, 60, 0)


@pytest.mark.parametrize("agents", range(2, 10))
def test_both_ends_are_reached_for_every_number_of_agents(agents: int) -> None:
    same = np.full((agents, 7), 33.0)
    split = np.zeros((agents, 7))
    split[: agents // 2] = 100.0
    assert homophily(same).value == pytest.approx(1.0)
    assert homophily(split).value == pytest.approx(0.0, abs=1e-12)
    drawn = np.random.default_rng(agents).uniform(-20, 120, (50, agents, 7))
    assert all(0 <= homophily(a).value <= 1 for a in drawn)


def test_the_order_of_agents_is_no_matter_and_the_weakest_stays_signed() -> None:
    a = np.random.default_rng(0).uniform(-5, 60, (5, 7))
    assert homophily(a[::-1]).value == pytest.approx(homophily(a).value)
    assert homophily(a).weakest_value == tuple(a.min(axis=0))
    assert homophily(a - 1000).value == 1.0  # all cut to 0: alike, and the weakest says how badly


@pytest.mark.parametrize("bad", [np.ones((1, 7)), np.ones(7), np.full((2, 7), np.nan)])
def test_bad_input_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="two agents"):
        homophily(bad)
