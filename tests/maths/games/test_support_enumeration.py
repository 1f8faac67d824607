"""Are the mixed equilibria of textbook games found on their supports?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.games.game import exploitability
from mahals.maths.games.support_enumeration import on_supports
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
