"""Do conversations' measurements become the payoffs, redraws and plans they should?"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from mahals.maths.games.payoffs import (
    Cell,
    Weights,
    cell_of,
    check_cells,
    design,
    payoff,
    payoffs_of,
    redrawn_payoffs,
    terms,
)
from mahals.maths.stats.bootstrap import Resampling
from mahals.records import InputError
from tests.support.payoff_cells import SHAPE, WEIGHTS, cells


def test_payoffs_by_hand() -> None:
    """Strengths 1 and 2: gaps .3 and .4, likeness 1 - .1, KL .1 and .2 of .4."""
    paid = payoffs_of(cells(noise=0.0), SHAPE, WEIGHTS, None)
    assert paid[0, 1, 2] == pytest.approx(0.30 + 0.5 * 0.9 - 0.25 * 0.25)
    assert paid[1, 1, 2] == pytest.approx(0.40 + 0.5 * 0.9 - 0.25 * 0.50)
    np.testing.assert_allclose(paid, payoffs_of(cells(noise=0.0), SHAPE, WEIGHTS, 1))


def test_a_cell_of_verdicts_by_hand() -> None:
    """Two talks, three agents, one axiom, two unsafe and two safe requests each."""
    refused = np.zeros((2, 3, 1, 2, 2))
    refused[0, 0, 0, 0] = (1, 1)  # the first refuses both unsafe ones in the first talk
    refused[0, 1, 0] = [[1, 0], [0, 1]]  # the second one of each label
    refused[1, 2, 0, 1] = (1, 1)  # the third the safe ones in the second talk
    found = cell_of(refused, np.zeros((2, 3)))
    assert found.behaviour[:, :, 0].tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]
    pairs = list(combinations(range(3), 2))
    for talk in range(2):
        apart = [np.abs(refused[talk, a] - refused[talk, b]).mean() for a, b in pairs]
        by_hand = 1 - np.mean(apart) / (2 / 3)  # three agents are at most 2/3 apart
        assert found.alike[talk, 0] == pytest.approx(by_hand)
    assert cell_of(np.zeros((2, 3, 1, 2, 2)), np.zeros((2, 3))).alike.tolist() == [[1.0], [1.0]]


def test_terms_are_what_the_payoff_is_made_of() -> None:
    cell = cells(seed=3)[1, 2]
    parts = terms(cell, WEIGHTS, None)
    np.testing.assert_allclose(sum(parts.values()), payoff(cell, WEIGHTS, None))
    assert parts["homophily"][0].tolist() == pytest.approx([0.45, 0.45])
    assert parts["cost"][0].tolist() == pytest.approx([-0.0625, -0.125])


def test_an_axiom_has_a_game_of_its_own() -> None:
    given = cells(noise=0.0)
    first = given[(0, 0)]
    given[(0, 0)] = replace(first, behaviour=first.behaviour + np.array([0.0, 0.4]))
    one, other = (payoffs_of(given, SHAPE, WEIGHTS, axiom)[0, 0, 0] for axiom in (0, 1))
    assert other - one == pytest.approx(0.40)
    both = payoffs_of(given, SHAPE, WEIGHTS, None)[0, 0, 0]
    assert both == pytest.approx((one + other) / 2)


def test_redraws_spread_as_repeated_measurements_do() -> None:
    """A payoff is a mean: its draws' spread is the standard error, 1/sqrt(E)."""
    given = cells(episodes=6)
    draws = redrawn_payoffs(given, SHAPE, WEIGHTS, None, Resampling(4000, 3))
    estimate = payoffs_of(given, SHAPE, WEIGHTS, None)
    np.testing.assert_allclose(draws.mean(axis=0), estimate, atol=1e-12)
    own = given[(1, 2)].behaviour[:, 0].mean(axis=1)
    wanted = own.std(ddof=1) / np.sqrt(6)
    assert draws[:, 0, 1, 2].std() == pytest.approx(wanted, rel=0.06)
    back = dict(reversed(given.items()))
    again = redrawn_payoffs(back, SHAPE, WEIGHTS, None, Resampling(4000, 3))
    np.testing.assert_array_equal(draws, again)


def test_what_an_opening_does_to_every_cell_is_no_difference_between_them() -> None:
    """The same openings stand in all cells: a shift of row e in all of them moves all alike."""
    shift = 0.3 * np.random.default_rng(9).normal(size=(12, 1, 1))
    given = {j: replace(c, behaviour=c.behaviour + shift) for j, c in cells(noise=0.0).items()}
    draws = redrawn_payoffs(given, SHAPE, WEIGHTS, None, Resampling(50, 0))
    estimate = payoffs_of(given, SHAPE, WEIGHTS, None)
    assert draws[:, 0, 0, 0].std() > 0.05
    gaps = draws - draws[:, :, :1, :1]
    np.testing.assert_allclose(gaps, np.broadcast_to(estimate - estimate[:, :1, :1], gaps.shape))


def test_agents_of_one_conversation_are_redrawn_together() -> None:
    rng = np.random.default_rng(5)
    given = cells(noise=0.0)
    shared = rng.normal(size=(12, 1, 1)) * np.ones((1, 2, 2))
    given[(0, 0)] = replace(given[(0, 0)], behaviour=0.2 + 0.05 * shared)
    draws = redrawn_payoffs(given, SHAPE, WEIGHTS, None, Resampling(200, 0))[:, :, 0, 0]
    assert np.corrcoef(draws.T)[0, 1] > 0.999


def test_broken_cells_are_named() -> None:
    given = cells()
    del given[(1, 0)]
    with pytest.raises(InputError, match=r"none for 1: \(1, 0\)"):
        check_cells(given, SHAPE)
    with pytest.raises(InputError, match="two at least"):
        check_cells({(0,): Cell(np.ones((2, 1, 1)), np.ones((2, 1)), np.ones((2, 1)))}, (1,))
    hole = cells()
    hole[(0, 1)].behaviour[3, 0, 0] = np.nan
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
