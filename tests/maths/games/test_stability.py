"""In which share of redraws does an equilibrium stand?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.games.game import pure_profile
from mahals.maths.games.stability import stability_shares
from mahals.records import InputError
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
