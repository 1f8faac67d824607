"""Do anchors keep a direction's similarities, also where states lie in few directions?"""

from __future__ import annotations

import numpy as np
from sklearn.metrics.pairwise import cosine_similarity

from mahals.maths.transfer.fitting import fit_map, move
from tests.support.planted_spaces import D, planted


def test_anchors_give_the_direction_with_the_same_similarities() -> None:
    """Relative representations by another road: the cosines to the anchors, before and after."""
    source, target, _ = planted(600, D, D, 6)
    found = fit_map("anchors", source, target, 0, None)
    assert found.rank == 4 * D
    vector = np.random.default_rng(7).standard_normal(D)
    moved = move(found, vector, 1.0)
    theirs = cosine_similarity(vector[None], source - source.mean(0))[0]
    ours = cosine_similarity(moved[None], target - target.mean(0))[0]
    assert np.corrcoef(theirs, ours)[0, 1] > 0.999
    np.testing.assert_allclose(theirs, ours, atol=0.05)


def test_anchors_stand_states_that_lie_in_few_directions() -> None:
    """As states of real models do; an inversion of too little penalty carries noise alone."""
    rng = np.random.default_rng(9)
    spread = np.geomspace(30, 0.03, 20)
    source = rng.standard_normal((600, 20)) * spread
    turn = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    target = source @ turn + 0.3 * rng.standard_normal((600, 20))
    found = fit_map("anchors", source, target, 0, None)
    assert found.alpha is not None and found.alpha > 1e-5
    assert found.r2_held_out is not None and found.r2_held_out > 0.9
