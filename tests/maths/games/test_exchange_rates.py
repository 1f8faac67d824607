"""Are the rates at which a game's answer turns those worked out by hand, and by enumeration?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mahals.maths.games.exchange_rates import cost_ranges, rate_sweep
from mahals.maths.games.game import is_equilibrium
from mahals.maths.games.payoffs import Cell, Weights
from mahals.maths.stats.bootstrap import Resampling
from mahals.records import InputError

RNG = np.random.default_rng(0)
STEERS = [(False, True)] * 2
WEIGHTS = Weights(behaviour=2.0, homophily=0.0, cost=2.0, kl_ceiling=0.4)
HOW = Resampling(50, 0)


def cells(gain: float, noise: float = 0.0, alike: float = 0.5) -> dict:
    """Own steering adds `gain` to the own gap, takes .4 from the other's, and costs .1 nats."""
    found = {}
    for joint in np.ndindex(2, 2):
        own = np.array(joint, dtype=float)
        gap = 0.5 + gain * own - 0.4 * own[::-1] + noise * RNG.normal(size=(12, 2))
        same = np.full((12, 1), 1.0 if joint[0] == joint[1] else alike)
        found[joint] = Cell(gap[:, :, None], same, np.tile(0.1 * own, (12, 1)))
    return found


def test_the_rate_at_which_steering_stops_by_hand() -> None:
    """A gap of .3 for a quarter of the ceiling: steering is dominant below 1.2, not above."""
    one, *_ = rate_sweep(cells(0.3), STEERS, WEIGHTS, (0.0, 1.0, 4.0), HOW)
    below, above = one.answers
    assert (below.low, above.high) == (0.0, 4.0)
    assert below.high == above.low == one.steering_up_to == pytest.approx(1.2)
    assert (below.steering, below.nobody, above.steering, above.nobody) == (
        True,
        False,
        False,
        True,
    )
    assert one.stays[1, 1] == pytest.approx((0.0, 1.2))
    assert one.stays[0, 0] == pytest.approx((1.2, 4.0)) and set(one.stays) == {(0, 0), (1, 1)}
    assert one.redrawn == pytest.approx((1.2, 1.2)) and one.turns_in == 1.0


def test_likeness_makes_both_answers_stand_side_by_side() -> None:
    """Doing alike is worth .5 w_h: leaving (0, 0) pays while .3 - r/4 > .5 w_h, (1, 1) while the
    other way round. At w_h = .5 both stand from .2 on, past the end of the sweep."""
    weights = replace(WEIGHTS, homophily=1.0)
    one, none, double = rate_sweep(cells(0.3), STEERS, weights, (0.0, 1.0, 2.0), HOW)
    assert [s.homophily for s in (one, none, double)] == [0.5, 0.0, 1.0]
    assert one.stays[0, 0] == pytest.approx((0.2, 2.0))
    assert one.stays[1, 1] == pytest.approx((0.0, 2.0))
    assert [(a.steering, a.nobody) for a in one.answers] == [(True, False), (True, True)]
    assert none.stays[1, 1] == pytest.approx((0.0, 1.2))


def test_an_answer_that_no_rate_turns() -> None:
    """Steering gains nothing, or so much that no swept price is too high."""
    nothing, *_ = rate_sweep(cells(0.0), STEERS, WEIGHTS, (0.0, 1.0, 4.0), HOW)
    assert len(nothing.answers) == 1 and nothing.answers[0].nobody
    assert nothing.steering_up_to is None and nothing.redrawn is None
    much, *_ = rate_sweep(cells(2.0), STEERS, WEIGHTS, (0.0, 1.0, 4.0), HOW)
    (only,) = much.answers
    assert only.steering and not only.nobody and much.steering_up_to == 4.0


def test_redraws_say_how_sure_the_rate_is() -> None:
    """.3 with a standard error of .1 / sqrt(12) of each of two cells, over .25."""
    noisy = rate_sweep(cells(0.3, 0.1), STEERS, WEIGHTS, (0.0, 1.0, 4.0), Resampling(400, 1))[0]
    assert noisy.redrawn is not None and noisy.steering_up_to is not None
    low, high = noisy.redrawn
    assert low < noisy.steering_up_to < high
    assert 0.15 < high - low < 1.2


@pytest.mark.parametrize("shape", [(2, 3), (2, 2, 2), (3, 3)])
def test_ranges_are_those_of_enumeration_at_drawn_weights(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    worth = rng.normal(size=(5, len(shape), *shape))
    cost = np.abs(rng.normal(size=(len(shape), *shape)))
    found = cost_ranges(worth, cost)
    for weight in rng.uniform(0, 3, 20):
        stays = is_equilibrium(worth - weight * cost, found.joints)
        np.testing.assert_array_equal(stays, (found.low <= weight) & (weight <= found.high))


def test_what_is_no_sweep_is_refused() -> None:
    for factors in ((1.0,), (0.5, 2.0), (-1.0, 1.0)):
        with pytest.raises(InputError, match="exchange rates"):
            rate_sweep(cells(0.3), STEERS, WEIGHTS, factors, HOW)
    with pytest.raises(InputError, match="weight of behaviour"):
        rate_sweep(cells(0.3), STEERS, replace(WEIGHTS, behaviour=0.0), (0.0, 1.0), HOW)
