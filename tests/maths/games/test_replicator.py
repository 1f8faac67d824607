"""Do stability and paths of populations agree with the theory of known games?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mahals.maths.games.replicator import Course, evolutionarily_stable, replicator_path
from mahals.records import InputError
from tests.support.textbook_games import (
    DEGENERATE,
    HAWK_DOVE,
    PENNIES,
    PRISONERS,
    ROCK_PAPER_SCISSORS,
    STAG,
    calm,
    game,
)


def test_evolutionary_stability_of_known_games() -> None:
    third, half = [1 / 3] * 3, [0.5, 0.5]
    assert evolutionarily_stable(HAWK_DOVE, [[2 / 3, 1 / 3]] * 2).stable
    assert not evolutionarily_stable(HAWK_DOVE, [[0, 1], [1, 0]]).rule.startswith("one")
    assert not evolutionarily_stable(ROCK_PAPER_SCISSORS, [third, third]).stable
    assert not evolutionarily_stable(STAG, [half, half]).stable
    assert evolutionarily_stable(STAG, [[1, 0], [1, 0]]).stable
    assert evolutionarily_stable(PRISONERS, [[0, 1], [0, 1]]).stable
    assert not evolutionarily_stable(PRISONERS, [[1, 0], [1, 0]]).stable
    assert not evolutionarily_stable(DEGENERATE, [[1, 0], [1, 0]]).stable


@pytest.mark.parametrize(("win", "stable"), [(1.5, True), (1.0, False), (0.7, False)])
def test_rock_paper_scissors_is_stable_only_when_winning_pays_more(win: float, stable) -> None:
    own = np.array([[0, -1, win], [win, 0, -1], [-1, win, 0]])
    of = game(np.stack([own, own.T]))
    assert evolutionarily_stable(of, [[1 / 3] * 3] * 2).stable is stable


@calm
@given(arrays(np.int64, (3, 3), elements=st.integers(-3, 3)), st.integers(0, 10**6))
def test_no_mutant_enters_a_stable_population(own, seed) -> None:
    """The definition itself, with many mutants, against the criterion."""
    own = own.astype(float)
    of = game(np.stack([own, own.T]))
    mutants = np.random.default_rng(seed).dirichlet([0.5] * 3, 200)
    for k in range(3):
        x = np.eye(3)[k]
        if evolutionarily_stable(of, [x, x]).stable:
            assert all(own[k] @ x >= y @ own @ x - 1e-12 for y in mutants)
            for y in mutants[np.abs(mutants - x).max(axis=1) > 1e-3]:
                entered = x + 1e-4 * (y - x)
                assert x @ own @ entered > y @ own @ entered - 1e-15


def test_replicator_paths_keep_what_theory_keeps() -> None:
    """Dominance: log odds are a straight line. Zero-sum cycles: the product of shares stays."""
    path = replicator_path(PRISONERS, [[0.9, 0.1], [0.5, 0.5]], Course(60.0, 121))
    assert path.mixes[0][-1, 1] > 0.999 and path.mixes[1][-1, 1] > 0.999
    start = [[0.5, 0.3, 0.2]] * 2
    turning = replicator_path(ROCK_PAPER_SCISSORS, start, Course(60.0, 121)).mixes[0]
    np.testing.assert_allclose(turning.prod(axis=1), 0.03, rtol=1e-6)
    np.testing.assert_allclose(turning.sum(axis=1), 1.0, atol=1e-12)
    assert np.ptp(turning[:, 0]) > 0.2
    constant = game([[[0, 0], [1, 1]], [[0, 0], [0, 0]]])
    odds = replicator_path(constant, [[0.5, 0.5], [0.5, 0.5]], Course(5.0, 6)).mixes[0]
    np.testing.assert_allclose(np.log(odds[:, 1] / odds[:, 0]), np.arange(6.0), atol=1e-6)
    with pytest.raises(InputError, match="start"):
        replicator_path(PENNIES, [[1, 0], [0.5, 0.5]], Course(1.0, 3))
