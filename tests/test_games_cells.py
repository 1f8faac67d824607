"""Do conversations' measurements become the payoffs, redraws, plans and games they should?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mahals.maths.games.additive_fit import additive_fit, game_draws, game_payoffs, sampled
from mahals.maths.games.analysis import Table, measured_games
from mahals.maths.games.game import pure_equilibria
from mahals.maths.games.payoffs import (
    Cell,
    Weights,
    check_cells,
    design,
    payoff,
    payoffs_of,
    redrawn_at,
    redrawn_payoffs,
)
from mahals.maths.games.solvers import Search
from mahals.maths.games.stability import surviving, weight_sweep
from mahals.maths.metrics.homophily import homophily
from mahals.maths.stats.bootstrap import Resampling
from mahals.records import InputError
from tests.support.textbook_games import game

WEIGHTS = Weights(aqi=1.0, homophily=0.5, cost=0.25, kl_ceiling=0.4)
SHAPE = (2, 3)


def cells(seed: int = 0, episodes: int = 12, noise: float = 4.0) -> dict:
    """Planted: AQI 20 + 10 x own strength, KL 0.1 x own strength, the same on both axioms."""
    rng = np.random.default_rng(seed)
    found = {}
    for joint in np.ndindex(*SHAPE):
        own = np.array(joint, dtype=float)
        aqi = 20 + 10 * own[None, :, None] + noise * rng.normal(size=(episodes, 2, 2))
        found[joint] = Cell(aqi, np.tile(0.1 * own, (episodes, 1)))
    return found


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


def test_redraws_of_a_sample_are_fits_of_its_redraws() -> None:
    shape, rng = (2, 2, 2), np.random.default_rng(4)
    every = {
        j: Cell(rng.normal(30, 9, (6, 3, 2)), np.full((6, 3), 0.1)) for j in np.ndindex(*shape)
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
    two = {j: Cell(c.aqi[:, :2], c.kl[:, :2]) for j, c in {(0, 0): every[0, 0, 0]}.items()}
    with pytest.raises(InputError, match="joint-action cells"):
        game_payoffs(two, (2, 2), WEIGHTS, None)  # two agents are never fitted


def test_agents_of_one_conversation_are_redrawn_together() -> None:
    rng = np.random.default_rng(5)
    given = cells(noise=0.0)
    shared = rng.normal(size=(12, 1, 1)) * np.ones((1, 2, 2))
    given[(0, 0)] = replace(given[(0, 0)], aqi=20 + 5 * shared)
    draws = redrawn_payoffs(given, SHAPE, WEIGHTS, None, Resampling(200, 0))[:, :, 0, 0]
    assert np.corrcoef(draws.T)[0, 1] > 0.999


def test_other_weights_other_equilibria() -> None:
    """Without a price the strongest dose is best; a dear one turns it round."""
    given = cells(noise=0.0)
    free = replace(WEIGHTS, homophily=0.1, cost=0.05)
    rows = weight_sweep(given, SHAPE, free, (0.0, 1.0, 10.0))
    assert len(rows) == 9
    by = {(round(r.weights.homophily, 6), round(r.weights.cost, 6)): r.pure for r in rows}
    assert by[(0.0, 0.0)] == ((1, 2),)
    assert by[(0.0, 0.5)] == ((0, 0),)
    assert 0 < surviving(rows, (1, 2)) < 1
    with pytest.raises(InputError, match="weight factors"):
        weight_sweep(given, SHAPE, free, (0.5, 2.0))


def test_a_measured_game_and_its_axioms(monkeypatch) -> None:
    monkeypatch.setattr(
        "mahals.maths.games.solvers.installed", lambda library: False
    )  # pure equilibria alone
    table = Table(("A", "B"), (("0", "1"), ("0", "1", "2")), ("first", "second"))
    how = Search(60.0, 1, 0, False)
    found = measured_games(cells(), table, WEIGHTS, Resampling(60, 1), how)
    assert list(found) == ["all", "first", "second"]
    for one in found.values():
        assert [s.status for s in one.solvers] == ["absent", "absent"]
        assert all(p.stability is not None and p.exploitability < 1e-6 for p in one.points)
    with pytest.raises(InputError, match="3 axioms"):
        measured_games(
            cells(), replace(table, axioms=("a", "b", "c")), WEIGHTS, Resampling(9, 1), how
        )


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
