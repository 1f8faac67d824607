"""In which share of redraws does an equilibrium stand, and under which weights?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mahals.maths.games.game import pure_profile
from mahals.maths.games.stability import stability_shares, surviving, weight_sweep
from mahals.records import InputError
from tests.support.payoff_cells import SHAPE, WEIGHTS, cells
from tests.support.textbook_games import PENNIES, STAG


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
