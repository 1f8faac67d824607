"""Are the mixed equilibria of textbook games found on their supports?"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from mahals.maths.games.game import exploitability, is_equilibrium, replies
from mahals.maths.games.support_enumeration import on_supports, small_support_equilibria
from mahals.maths.stats.intervals import Floats
from tests.support.textbook_games import (
    COST,
    DEGENERATE,
    HAWK_DOVE,
    PENNIES,
    PRISONERS,
    ROCK_PAPER_SCISSORS,
    SEXES,
    STAG,
    mixed,
    threshold_goods,
    volunteers,
)


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


def contributing(cost: float) -> list[tuple[float, ...]]:
    """How likely each of three contributes, in every mixed equilibrium of the threshold game."""
    of = threshold_goods(cost)
    found = small_support_equilibria(of.payoffs)
    assert found.complete and found.reason is None
    assert all(exploitability(of, profile) <= 1e-9 for profile in found.profiles)
    return sorted(tuple(float(x[1]) for x in profile) for profile in found.profiles)


def test_the_five_mixed_equilibria_of_a_threshold_public_goods_game() -> None:
    """By hand: a contribution decides where exactly one other contributes, which has to be worth c.

    All mix: p (1 - q) + q (1 - p) = c for every two others. Subtracting two of these leaves
    (p - q)(1 - 2 r) = 0, and no r is 1/2 as c is not, so all are alike: 2 p (1 - p) = c, two
    roots. One contributes for sure: the two others mix with 1 - q = c, and it stays while
    2 c (1 - c) >= c, c <= 1/2. One never does: q = c, and it stays away while 2 c (1 - c) <= c,
    so for c >= 1/2 alone.
    """
    half = np.sqrt(1 - 2 * 0.3) / 2
    by_hand = [(0.5 - half,) * 3, (0.5 + half,) * 3]
    by_hand += [(1.0, 0.7, 0.7), (0.7, 1.0, 0.7), (0.7, 0.7, 1.0)]
    np.testing.assert_allclose(contributing(0.3), sorted(by_hand), atol=1e-9)
    dear = [(0.0, 0.7, 0.7), (0.7, 0.0, 0.7), (0.7, 0.7, 0.0)]
    np.testing.assert_allclose(contributing(0.7), sorted(dear), atol=1e-9)


def test_equilibria_that_touch_are_said_to_be_perhaps_not_all() -> None:
    """At c = 1/2 the two symmetric equilibria are one, a double root."""
    found = small_support_equilibria(threshold_goods(0.5).payoffs)
    assert not found.complete and "touch or form a continuum" in str(found.reason)
    flat = np.zeros((3, 2, 2, 2))
    assert not small_support_equilibria(flat).complete


@pytest.mark.parametrize(("players", "games"), [(2, 60), (3, 60), (4, 12)])
def test_indices_of_all_equilibria_sum_to_one(players: int, games: int) -> None:
    """Wilson 1971, Shapley 1974: so it is in every game without ties, and with one missing it
    is not."""
    rng = np.random.default_rng(players)
    for _ in range(games):
        payoffs = rng.normal(size=(players, *(2,) * players))
        found = small_support_equilibria(payoffs)
        pure = sum(bool(is_equilibrium(payoffs, [j])[0]) for j in np.ndindex(*(2,) * players))
        assert found.complete
        assert pure + sum(_index(payoffs, profile) for profile in found.profiles) == 1


def _index(payoffs: Floats, profile: tuple[Floats, ...]) -> int:
    """The sign of det(-J), J the slopes of the gains of those who mix over each other's shares."""
    mixing = [i for i, x in enumerate(profile) if 0 < x[1] < 1]
    slopes = np.zeros((len(mixing), len(mixing)))
    for (a, i), (b, j) in product(enumerate(mixing), repeat=2):
        if a == b:
            continue
        ends = []
        for action in (0, 1):
            moved = (*profile[:j], np.eye(2)[action], *profile[j + 1 :])
            paid = replies(payoffs, moved)[i]
            ends.append(paid[1] - paid[0])
        slopes[a, b] = ends[1] - ends[0]
    return int(np.sign(np.linalg.det(-slopes)))


def test_more_players_of_more_actions_are_enumerated_where_each_uses_two() -> None:
    """The third action of the first is worse than both others: the threshold game's are found."""
    of = threshold_goods(0.3)
    worse = np.concatenate([of.payoffs, of.payoffs[:, :1] - 1], axis=1)
    found = small_support_equilibria(worse)
    assert len(found.profiles) == 5 and not found.complete
    assert all(profile[0][2] == 0 for profile in found.profiles)
