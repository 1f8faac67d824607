"""Are pure equilibria and exploitability those of textbook games, in any units?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mahals.maths.games.game import exploitability, game_of, pure_equilibria, pure_profile
from mahals.maths.games.solvers import Search, mixed_equilibria
from mahals.records import InputError
from tests.support.textbook_games import (
    DEGENERATE,
    HAWK_DOVE,
    PENNIES,
    PRISONERS,
    ROCK_PAPER_SCISSORS,
    SEXES,
    STAG,
    calm,
    game,
    tables,
    volunteers,
)


@pytest.mark.parametrize(
    ("of", "pure"),
    [
        (PRISONERS, [(1, 1)]),
        (PENNIES, []),
        (SEXES, [(0, 0), (1, 1)]),
        (STAG, [(0, 0), (1, 1)]),
        (ROCK_PAPER_SCISSORS, []),
        (HAWK_DOVE, [(0, 1), (1, 0)]),
        (DEGENERATE, [(0, 0), (0, 1)]),
        (volunteers(), [(0, 0, 1), (0, 1, 0), (1, 0, 0)]),
    ],
)
def test_pure_equilibria_of_textbook_games(of, pure) -> None:
    assert list(pure_equilibria(of)) == pure


def test_exploitability_by_hand() -> None:
    """Both cooperate: 5 instead of 3, of a range of 5."""
    assert exploitability(PRISONERS, pure_profile((2, 2), (0, 0))) == pytest.approx(0.4)
    half = [[0.5, 0.5], [0.5, 0.5]]
    assert exploitability(PRISONERS, half) == pytest.approx(0.75 / 5)  # 3 by a1, 2.25 by half


@calm
@given(tables, st.floats(1e-3, 1e4), st.floats(-1e3, 1e3))
def test_affine_payoffs_leave_the_pure_set_unchanged(table, scale, shift) -> None:
    moved = table * np.array([scale, 1.0])[:, None, None] + np.array([shift, 7])[:, None, None]
    first, second = game(table), game(moved)
    assert pure_equilibria(first) == pure_equilibria(second)
    for joint in pure_equilibria(first):
        assert exploitability(second, pure_profile(first.shape, joint)) < 1e-6


@calm
@given(arrays(np.float64, (3, 2, 2, 2), elements=st.integers(-3, 3).map(float)))
def test_pure_equilibria_by_a_second_enumeration(table) -> None:
    """With three nested loops in place of slices."""
    by_hand = []
    for a, b, c in np.ndindex(2, 2, 2):
        stays = table[0, a, b, c] >= table[0, 1 - a, b, c]
        stays = stays and table[1, a, b, c] >= table[1, a, 1 - b, c]
        if stays and table[2, a, b, c] >= table[2, a, b, 1 - c]:
            by_hand.append((a, b, c))
    assert list(pure_equilibria(game(table))) == by_hand


def test_with_few_episodes_and_much_noise_the_pure_set_is_often_wrong() -> None:
    """Three players, five actions, payoffs of one deviation, means of 10 episodes (METHOD 6)."""
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(60):
        truth = rng.normal(size=(3, 5, 5, 5))
        seen = truth + rng.normal(size=truth.shape) / np.sqrt(10)
        wrong += pure_equilibria(game(truth)) != pure_equilibria(game(seen))
    assert 0.4 < wrong / 60 < 0.9


def test_bad_games_are_input_errors() -> None:
    with pytest.raises(InputError, match="two players"):
        game_of(np.zeros((1, 2)), ["A"], [["x", "y"]])
    with pytest.raises(InputError, match="actions of B"):
        game_of(np.zeros((2, 2, 0)), ["A", "B"], [["x", "y"], []])
    with pytest.raises(InputError, match="shape"):
        game_of(np.zeros((2, 2, 3)), ["A", "B"], [["x", "y"], ["x", "y"]])
    hole = PRISONERS.payoffs.copy()
    hole[1, 0, 1] = np.nan
    with pytest.raises(InputError, match="1 cells missing or not finite: x/z"):
        game_of(hole, ["A", "B"], [["x", "y"], ["w", "z"]])
    with pytest.raises(InputError, match="probabilit"):
        exploitability(PENNIES, [[0.5, 0.6], [1, 0]])
    with pytest.raises(InputError, match="time limit"):
        mixed_equilibria(PENNIES, Search(0.0, 1, 0, False))
