"""Is an additive game told from a sample of its cells, and another not?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.games.additive_fit import additive_fit, game_draws, game_payoffs, sampled
from mahals.maths.games.game import pure_equilibria
from mahals.maths.games.payoffs import Cell, design, redrawn_at, redrawn_payoffs
from mahals.maths.stats.bootstrap import Resampling
from mahals.records import InputError
from tests.support.payoff_cells import WEIGHTS
from tests.support.textbook_games import game


def test_redraws_of_a_sample_are_fits_of_its_redraws() -> None:
    shape, rng = (2, 2, 2), np.random.default_rng(4)
    every = {
        j: Cell(rng.normal(0.3, 0.1, (6, 3, 2)), np.full((6, 2), 0.9), np.full((6, 3), 0.1))
        for j in np.ndindex(*shape)
    }
    assert not sampled(every, shape)
    assert game_draws(every, shape, WEIGHTS, None, Resampling(4, 0)) == pytest.approx(
        redrawn_payoffs(every, shape, WEIGHTS, None, Resampling(4, 0))
    )
    some = {j: c for j, c in every.items() if j != (1, 0, 1)}
    drawn = redrawn_at(some, WEIGHTS, None, Resampling(4, 0))
    found = game_draws(some, shape, WEIGHTS, None, Resampling(4, 0))
    for k in range(4):
        fit = additive_fit({j: d[k] for j, d in drawn.items()}, shape)
        np.testing.assert_allclose(found[k], fit.payoffs, atol=1e-12)
    fitted = game_payoffs(some, shape, WEIGHTS, None)
    np.testing.assert_allclose(found.mean(axis=0), fitted, atol=1e-12)
    first = every[0, 0, 0]
    two = {(0, 0): Cell(first.behaviour[:, :2], first.alike, first.kl[:, :2])}
    with pytest.raises(InputError, match="joint-action cells"):
        game_payoffs(two, (2, 2), WEIGHTS, None)  # two agents are never fitted


def test_an_additive_game_is_told_from_a_sample_and_another_is_not() -> None:
    shape, rng = (3, 3, 3), np.random.default_rng(2)
    effects = [rng.normal(size=(3, 3)) for _ in shape]
    joints = design(shape, 1, 14, 1.0, 4).joints
    truth = {j: sum(e[a] for e, a in zip(effects, j, strict=True)) for j in np.ndindex(*shape)}
    fit = additive_fit({j: truth[j] for j in joints}, shape)
    for j in np.ndindex(*shape):
        np.testing.assert_allclose(fit.payoffs[(slice(None), *j)], truth[j], atol=1e-9)
    assert max(fit.held_out_error) < 1e-9
    assert len(pure_equilibria(game(fit.payoffs))) == 1
    noise = additive_fit({j: rng.normal(size=3) for j in joints}, shape)
    assert all(r is not None and r < 0.5 for r in noise.held_out_r2)
    with pytest.raises(InputError, match="additive fit"):
        additive_fit({j: truth[j] for j in joints if j[0] != 2}, shape)


def test_held_out_errors_are_those_of_leaving_out() -> None:
    """Refitted without each cell, in place of the hat matrix."""
    shape, rng = (2, 2, 2), np.random.default_rng(8)
    paid = {j: rng.normal(size=3) for j in np.ndindex(*shape)}
    fit = additive_fit(paid, shape)
    errors = []
    for out in paid:
        rest = {j: p for j, p in paid.items() if j != out}
        x = np.array([[1.0, *j] for j in rest])
        beta = np.linalg.lstsq(x, np.array(list(rest.values())), rcond=None)[0]
        errors.append(paid[out] - np.array([1.0, *out]) @ beta)
    np.testing.assert_allclose(fit.held_out_error, np.sqrt(np.square(errors).mean(axis=0)))
