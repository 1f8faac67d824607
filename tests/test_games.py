"""Are the equilibria of textbook games found, and is nothing else called one?"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mahals.maths.games.analysis import analyse
from mahals.maths.games.game import exploitability, game_of, pure_equilibria, pure_profile, supports
from mahals.maths.games.replicator import Course, evolutionarily_stable, replicator_path
from mahals.maths.games.solver_process import solve
from mahals.maths.games.solvers import Search, _polished, ask, mixed_equilibria
from mahals.maths.games.stability import stability_shares
from mahals.maths.games.stackelberg import stackelberg
from mahals.maths.games.support_enumeration import on_supports
from mahals.maths.games.welfare import potential_test, price_of_anarchy
from mahals.records import InputError
from tests.support.textbook_games import (
    COST,
    DEGENERATE,
    HAWK_DOVE,
    PENNIES,
    PRISONERS,
    ROCK_PAPER_SCISSORS,
    SEXES,
    STAG,
    cournot,
    game,
    volunteers,
)

HOW = Search(seconds=300.0, starts=12, seed=0, gambit=False)


def mixed(of, name: str = "nashpy.support_enumeration") -> list:
    """The properly mixed equilibria by one solver, asked in this process."""
    pytest.importorskip(name.split(".")[0])
    from mahals.maths.games.game import unit_payoffs
    from mahals.maths.games.solvers import distinct

    payoffs = unit_payoffs(of)
    found = [_polished(payoffs, given) for given in solve(name, payoffs, 12, 0)]
    kept = distinct([p for p in found if p is not None])
    return [p for p in kept if any(len(own) > 1 for own in supports(p))]


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


@pytest.mark.parametrize(
    ("of", "row", "column"),
    [
        (PENNIES, [0.5, 0.5], [0.5, 0.5]),
        (SEXES, [2 / 3, 1 / 3], [1 / 3, 2 / 3]),
        (STAG, [0.5, 0.5], [0.5, 0.5]),
        (ROCK_PAPER_SCISSORS, [1 / 3] * 3, [1 / 3] * 3),
        (HAWK_DOVE, [2 / 3, 1 / 3], [2 / 3, 1 / 3]),
    ],
)
def test_mixed_equilibria_of_textbook_games(of, row, column) -> None:
    """By nashpy, and by our own linear programmes on the full supports."""
    full = tuple(tuple(range(n)) for n in of.shape)
    own = on_supports(of.payoffs, full, ())
    for found in [own, *mixed(of)]:
        np.testing.assert_allclose(found[0], row, atol=1e-9)
        np.testing.assert_allclose(found[1], column, atol=1e-9)
    assert len(mixed(of)) == 1


def test_prisoners_have_no_mixed_equilibrium() -> None:
    assert mixed(PRISONERS) == []
    assert on_supports(PRISONERS.payoffs, ((0, 1), (0, 1)), ()) is None


def test_a_degenerate_game_has_a_face_of_equilibria_and_only_its_ends_are_enumerated() -> None:
    """Row plays a0 for sure; column may mix as it likes. nashpy gives the pure ends alone."""
    face = on_supports(DEGENERATE.payoffs, ((0,), (0, 1)), ())
    assert face is not None and exploitability(DEGENERATE, face) == 0
    np.testing.assert_allclose(face[1], [0.5, 0.5])
    ends = mixed(DEGENERATE, "nashpy.vertex_enumeration")
    assert ends == []


def test_three_volunteers_mix_as_the_textbook_says() -> None:
    """Nobody else volunteers with probability c: each stays away with sqrt(c); of two, with c."""
    of = volunteers()
    start = tuple(np.array([0.6, 0.4]) for _ in range(3))
    all_three = on_supports(of.payoffs, ((0, 1),) * 3, start)
    assert all_three is not None
    for mix in all_three:
        np.testing.assert_allclose(mix, [np.sqrt(COST), 1 - np.sqrt(COST)], atol=1e-9)
    two = on_supports(of.payoffs, ((0, 1), (0, 1), (0,)), start)
    assert two is not None
    np.testing.assert_allclose(two[0], [COST, 1 - COST], atol=1e-9)
    assert on_supports(of.payoffs, ((0, 1), (0, 1), (1,)), start) is None


@pytest.mark.slow
def test_quantecon_finds_the_volunteers() -> None:
    pytest.importorskip("quantecon")
    found = mixed_equilibria(volunteers(), HOW)
    (row,) = found.solvers
    assert row.status == "ran", row
    assert row.kept is not None and row.kept >= 1
    root = np.sqrt(COST)
    wanted = [[root, 1 - root]] * 3
    assert any(np.allclose(np.array(p), wanted, atol=1e-6) for p in found.profiles)


def test_exploitability_by_hand() -> None:
    """Both cooperate: 5 instead of 3, of a range of 5."""
    assert exploitability(PRISONERS, pure_profile((2, 2), (0, 0))) == pytest.approx(0.4)
    half = [[0.5, 0.5], [0.5, 0.5]]
    assert exploitability(PRISONERS, half) == pytest.approx(0.75 / 5)  # 3 by a1, 2.25 by half


small = st.tuples(st.integers(1, 3), st.integers(1, 3))
tables = small.flatmap(
    lambda s: arrays(np.int64, (2, *s), elements=st.integers(-4, 4)).map(lambda a: a.astype(float))
)
calm = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)


@calm
@given(tables, st.floats(1e-3, 1e4), st.floats(-1e3, 1e3))
def test_affine_payoffs_leave_the_pure_set_unchanged(table, scale, shift) -> None:
    moved = table * np.array([scale, 1.0])[:, None, None] + np.array([shift, 7])[:, None, None]
    first, second = game(table), game(moved)
    assert pure_equilibria(first) == pure_equilibria(second)
    for joint in pure_equilibria(first):
        assert exploitability(second, pure_profile(first.shape, joint)) < 1e-6


@calm
@given(tables, st.sampled_from([1e-3, 0.5, 3.0, 1e4]), st.integers(-100, 100))
def test_every_mixed_equilibrium_holds_and_affine_payoffs_keep_it(table, scale, shift) -> None:
    first, second = game(table), game(table * scale + shift)
    once = mixed(first)
    for profile in once:
        assert exploitability(first, profile) < 1e-6
        assert exploitability(second, profile) < 1e-6
    assert {supports(p) for p in once} == {supports(p) for p in mixed(second)}


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


def test_cournot_as_stackelberg() -> None:
    """Inverse demand 12 - Q: Cournot 4 each; the leader makes 6, the follower 3; payoffs 18, 9."""
    of = cournot()
    assert (2, 4) in pure_equilibria(of)  # the first firm's third choice is 4
    led = stackelberg(of, 0)
    assert led.strong == led.weak == (3, 3)  # its fourth is 6
    assert led.strong_payoffs == (18.0, 9.0)


def test_ties_among_replies_are_told_apart_and_three_players_follow_as_an_equilibrium() -> None:
    led = stackelberg(game([[[2, 0], [1, 1]], [[1, 1], [0, 0]]]), 0)
    assert led.strong == (0, 0) and led.weak_payoffs[0] == 1.0
    lazy = stackelberg(volunteers(), 2)
    assert lazy.strong is not None and lazy.strong[2] == 0 and lazy.strong_payoffs[2] == 1.0
    cycling = np.zeros((3, 2, 2, 2))
    cycling[:2] = PENNIES.payoffs[..., None]
    absent = stackelberg(game(cycling), 2)
    assert absent.strong is None and absent.reason


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


def test_price_of_anarchy_by_hand() -> None:
    found = price_of_anarchy(PRISONERS, [pure_profile((2, 2), (1, 1))])
    assert (found.best, found.optimum, found.gap, found.anarchy) == ((0, 0), 6.0, 4.0, 3.0)
    nil = price_of_anarchy(PENNIES, [tuple(np.array([0.5, 0.5]) for _ in range(2))])
    assert nil.anarchy is None and nil.reason and nil.gap == 0.0
    with pytest.raises(InputError, match="equilibrium"):
        price_of_anarchy(PENNIES, [])


def test_potential_games_are_told_from_others() -> None:
    """Monderer and Shapley: the prisoner's dilemma and Cournot have one, pennies the opposite."""
    found = potential_test(PRISONERS)
    assert found.exact and found.improvement_ends
    rise = found.potential
    assert rise[1, 0] - rise[0, 0] == pytest.approx(2) and rise[1, 1] - rise[0, 1] == pytest.approx(
        1
    )
    assert potential_test(volunteers()).exact
    circle = potential_test(PENNIES)
    assert not circle.exact and circle.distance == pytest.approx(1.0)
    assert not circle.improvement_ends
    sexes = potential_test(SEXES)
    assert sexes.exact and sexes.improvement_ends
    assert not potential_test(game([[[3, 0], [0, 1]], [[1, 0], [0, 1]]])).exact


def test_stability_shares_by_hand() -> None:
    """Three redraws of the stag hunt: as it was, hunting made worse, pennies."""
    worse = STAG.payoffs - np.array([[[2.0, 0], [0, 0]], [[2.0, 0], [0, 0]]])
    draws = np.stack([STAG.payoffs, worse, PENNIES.payoffs])
    half = tuple(np.array([0.5, 0.5]) for _ in range(2))
    points = [pure_profile((2, 2), j) for j in ((0, 0), (1, 1))]
    hunt, safe, mix = stability_shares(STAG, [*points, half], draws)
    assert [s.share.estimate for s in (hunt, safe, mix)] == pytest.approx([1 / 3, 2 / 3, 2 / 3])
    assert hunt.chance == 0.25 and mix.chance is None
    assert hunt.share.low > 0.0
    with pytest.raises(InputError, match="redrawn"):
        stability_shares(STAG, points, draws[:, :1])


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


def planted(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of that name that is found before any other."""
    (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])


def test_a_solver_that_is_absent_is_a_row(monkeypatch) -> None:
    monkeypatch.setattr("mahals.maths.games.solvers.installed", lambda library: False)
    absent = analyse(PRISONERS, None, HOW)
    assert [s.status for s in absent.solvers] == ["absent", "absent"]
    assert "extra `games`" in str(absent.solvers[0].reason)
    assert [p.kind for p in absent.points] == ["pure"]
    assert absent.anarchy is not None and absent.points[0].exploitability == 0.0
    assert analyse(PENNIES, None, HOW).anarchy is None


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("import os; os._exit(11)", "died", "exit 11"),
        ("raise ValueError('no licence')", "died", "no licence"),
        ("import time; time.sleep(60)", "timed_out", "no answer in"),
    ],
)
def test_a_broken_gambit_costs_its_row_alone(tmp_path, monkeypatch, text, status, said) -> None:
    planted(tmp_path, "pygambit", text, monkeypatch)
    seconds = 4.0 if status == "timed_out" else 120.0
    (row,) = ask(["pygambit.logit_solve"], PENNIES.payoffs, Search(seconds, 1, 0, True))
    assert row.status == status and said in str(row.reason)


def test_what_was_answered_before_a_crash_is_kept(tmp_path, monkeypatch) -> None:
    """One process for all: the first answers, the second dies."""
    text = """
class Game:
    def __init__(self, a, b): pass
    def support_enumeration(self):
        print("chatter of the library")
        return [([1, 0], [0, 1])]
    def vertex_enumeration(self):
        import os
        os._exit(3)
"""
    planted(tmp_path, "nashpy", text, monkeypatch)
    names = ["nashpy.support_enumeration", "nashpy.vertex_enumeration"]
    answers = ask(names, PENNIES.payoffs, Search(120.0, 1, 0, False))
    assert [a.status for a in answers] == ["ran", "died"]
    assert answers[0].found == [[[1.0, 0.0], [0.0, 1.0]]]
    found = mixed_equilibria(PENNIES, Search(120.0, 1, 0, False))
    assert [(s.status, s.found, s.kept) for s in found.solvers] == [
        ("ran", 1, 0), ("died", None, None),
    ]  # fmt: skip
