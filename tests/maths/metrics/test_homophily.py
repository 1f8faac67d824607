"""Does homophily span [0, 1] for every number of agents, and name the weakest link?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.metrics.homophily import homophily, homophily_intervals, same_verdicts
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


@pytest.mark.parametrize("agents", [2, 6])
@pytest.mark.parametrize("step", [0.0, 2.0, 20.0])
def test_homophily_and_the_weakest_link_are_held_alike_or_apart(agents: int, step: float) -> None:
    """Where all agents are equal the percentiles of the draws hold homophily 0 % of the time."""
    rng = np.random.default_rng([agents, int(step)])
    truth = 15 + step / (agents - 1) * np.arange(agents)[:, None] * np.ones((1, 7))
    target, held, naive = homophily(truth), np.zeros(2), 0
    for repetition in range(150):
        seen = truth + 2 * rng.standard_normal((agents, 7))
        draws = seen + 2 * rng.standard_normal((300, agents, 7))
        found = homophily_intervals(seen, draws)
        low, high = found.value.low, found.value.high
        weakest = found.weakest[0]
        least = target.weakest_value[0]
        held += (low <= target.value <= high, weakest.low <= least <= weakest.high)
        if step == 0 and repetition < 20:
            values = [homophily(d).value for d in draws[:60]]
            naive += np.quantile(values, 0.025) <= target.value <= np.quantile(values, 0.975)
    assert held.min() / 150 >= 0.91
    if step == 0:
        assert naive == 0


def test_intervals_by_hand() -> None:
    aqi = np.array([[10.0], [30.0]])
    moves = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 4.0], [0.0, -4.0]])
    found = homophily_intervals(aqi, aqi + moves[:, :, None])
    assert found.value.estimate == pytest.approx(0.8)  # 1 - 20 / 100
    half = np.quantile([0.01, 0.01, 0.04, 0.04], 0.95)  # |e_1 - e_2| / 100
    assert (found.value.low, found.value.high) == pytest.approx((0.8 - half, 0.8 + half))
    (weakest,) = found.weakest
    assert (weakest.estimate, weakest.low, weakest.high) == pytest.approx((10, 6, 14))


BAD_DRAWS = {
    "draws of others": (lambda: homophily_intervals(np.ones((2, 7)), np.ones((9, 3, 7))), "draws"),
    "draws that are nan": (
        lambda: homophily_intervals(np.ones((2, 7)), np.full((9, 2, 7), np.nan)),
        "not finite",
    ),
    "one agent": (lambda: homophily_intervals(np.ones((1, 7)), np.ones((9, 1, 7))), "two agents"),
}


@pytest.mark.parametrize("case", BAD_DRAWS)
def test_draws_that_do_not_fit_are_refused(case: str) -> None:
    call, said = BAD_DRAWS[case]
    with pytest.raises(InputError, match=said):
        call()


def test_same_verdicts_span_from_0_to_1_and_exist_where_nobody_refuses() -> None:
    for agents in range(2, 7):
        split = np.zeros((agents, 9))
        split[: agents // 2] = 1
        assert same_verdicts(split) == pytest.approx(0.0, abs=1e-12)
        assert same_verdicts(np.zeros((agents, 9))) == 1.0
    two = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], dtype=float)
    assert same_verdicts(two) == pytest.approx(0.5)
    assert same_verdicts(np.stack([two, two])).tolist() == pytest.approx([0.5, 0.5])
