"""Do conversations' measurements become the payoffs, redraws and plans they should?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mahals.maths.games.payoffs import (
    Cell,
    Weights,
    check_cells,
    design,
    payoff,
    payoffs_of,
    redrawn_payoffs,
)
from mahals.maths.metrics.homophily import homophily
from mahals.maths.stats.bootstrap import Resampling
from mahals.records import InputError
from tests.support.payoff_cells import SHAPE, WEIGHTS, cells


def test_payoffs_by_hand() -> None:
    """Strengths 1 and 2: AQI 30 and 40, homophily 1 - 10/100, KL .1 and .2 of .4."""
    paid = payoffs_of(cells(noise=0.0), SHAPE, WEIGHTS, None)
    assert paid[0, 1, 2] == pytest.approx(0.30 + 0.5 * 0.9 - 0.25 * 0.25)
    assert paid[1, 1, 2] == pytest.approx(0.40 + 0.5 * 0.9 - 0.25 * 0.50)
    np.testing.assert_allclose(paid, payoffs_of(cells(noise=0.0), SHAPE, WEIGHTS, 1))


def test_an_axiom_has_a_game_of_its_own() -> None:
    given = cells(noise=0.0)
    given[(0, 0)] = replace(given[(0, 0)], aqi=given[(0, 0)].aqi + np.array([0.0, 40.0]))
    one, other = (payoffs_of(given, SHAPE, WEIGHTS, axiom)[0, 0, 0] for axiom in (0, 1))
    assert other - one == pytest.approx(0.40)
    both = payoffs_of(given, SHAPE, WEIGHTS, None)[0, 0, 0]
    assert both == pytest.approx((one + other) / 2)


def test_redraws_spread_as_repeated_measurements_do() -> None:
    """Without homophily a payoff is a mean: its draws' spread is the standard error, 1/sqrt(E)."""
    plain = replace(WEIGHTS, homophily=0.0)
    given = cells(episodes=6)
    draws = redrawn_payoffs(given, SHAPE, plain, None, Resampling(4000, 3))
    estimate = payoffs_of(given, SHAPE, plain, None)
    np.testing.assert_allclose(draws.mean(axis=0), estimate, atol=1e-12)
    own = given[(1, 2)].aqi[:, 0].mean(axis=1) / 100
    wanted = own.std(ddof=1) / np.sqrt(6)
    assert draws[:, 0, 1, 2].std() == pytest.approx(wanted, rel=0.06)
    again = redrawn_payoffs(dict(reversed(given.items())), SHAPE, plain, None, Resampling(4000, 3))
    np.testing.assert_array_equal(draws, again)


def test_what_an_opening_does_to_every_cell_is_no_difference_between_them() -> None:
    """The same openings stand in all cells: a shift of row e in all of them moves all alike."""
    plain = replace(WEIGHTS, homophily=0.0)
    shift = 30 * np.random.default_rng(9).normal(size=(12, 1, 1))
    given = {j: replace(c, aqi=c.aqi + shift) for j, c in cells(noise=0.0).items()}
    draws = redrawn_payoffs(given, SHAPE, plain, None, Resampling(50, 0))
    estimate = payoffs_of(given, SHAPE, plain, None)
    assert draws[:, 0, 0, 0].std() > 0.05
    gaps = draws - draws[:, :, :1, :1]
    np.testing.assert_allclose(gaps, np.broadcast_to(estimate - estimate[:, :1, :1], gaps.shape))


def test_payoffs_hold_the_homophily_of_the_metric() -> None:
    aqi = np.random.default_rng(3).normal(30, 40, (5, 3, 7))
    found = payoff(aqi, np.zeros((5, 3)), replace(WEIGHTS, aqi=0.0, homophily=1.0))
    assert found[:, 0] == pytest.approx([homophily(one).value for one in aqi])


def test_agents_of_one_conversation_are_redrawn_together() -> None:
    rng = np.random.default_rng(5)
    given = cells(noise=0.0)
    shared = rng.normal(size=(12, 1, 1)) * np.ones((1, 2, 2))
    given[(0, 0)] = replace(given[(0, 0)], aqi=20 + 5 * shared)
    draws = redrawn_payoffs(given, SHAPE, WEIGHTS, None, Resampling(200, 0))[:, :, 0, 0]
    assert np.corrcoef(draws.T)[0, 1] > 0.999


def test_broken_cells_are_named() -> None:
    given = cells()
    del given[(1, 0)]
    with pytest.raises(InputError, match=r"none for 1: \(1, 0\)"):
        check_cells(given, SHAPE)
    with pytest.raises(InputError, match="two at least"):
        check_cells({(0,): Cell(np.ones((2, 1, 1)), np.ones((2, 1)))}, (1,))
    hole = cells()
    hole[(0, 1)].aqi[3, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"cell \(0, 1\).*1 not finite"):
        check_cells(hole, SHAPE)
    with pytest.raises(InputError, match="2 conversations"):
        redrawn_payoffs(cells(episodes=1), SHAPE, WEIGHTS, None, Resampling(5, 0))
    with pytest.raises(InputError, match="payoff weights"):
        Weights(1.0, 0.5, 0.1, 0.0)


def test_a_design_says_what_it_covers_and_costs() -> None:
    whole = design((3, 4), 5, 12, 2.0, 0)
    assert (len(whole.joints), whole.coverage, whole.conversations) == (12, 1.0, 60)
    assert whole.seconds == 120.0 and whole.kind == "full factorial"
    part = design((3, 3, 3), 2, 12, 1.0, 0)
    assert (len(set(part.joints)), part.of) == (12, 27)
    assert part.coverage == pytest.approx(12 / 27) and part.kind.startswith("sample")
    assert all({j[i] for j in part.joints} == {0, 1, 2} for i in range(3))
    assert part == design((3, 3, 3), 2, 12, 1.0, 0)
    for shape, budget in (((3, 3), 8), ((3,), 9), ((3, 0), 9), ((3, 3, 3), 7)):
        with pytest.raises(InputError, match="design"):
            design(shape, 2, budget, 1.0, 0)
