"""What does a leader take in games with known answers?"""

from __future__ import annotations

import numpy as np

from mahals.maths.games.game import pure_equilibria
from mahals.maths.games.stackelberg import stackelberg
from tests.support.textbook_games import PENNIES, cournot, game, volunteers


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
