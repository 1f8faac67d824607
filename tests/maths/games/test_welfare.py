"""Are the price of anarchy and the potential those worked by hand?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.games.game import pure_profile
from mahals.maths.games.welfare import potential_test, price_of_anarchy
from mahals.records import InputError
from tests.support.textbook_games import PENNIES, PRISONERS, SEXES, game, volunteers


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
