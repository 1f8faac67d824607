"""Does an MLP find a bent relation, and move by its mean derivative?"""

from __future__ import annotations

import numpy as np

from mahals.maths.transfer.fitting import fit_map
from mahals.maths.transfer.mlp import fit_mlp
from mahals.maths.transfer.rows import split_sides
from tests.support.planted_spaces import D, planted


def test_an_mlp_finds_a_bent_relation_and_moves_by_its_mean_derivative() -> None:
    rng = np.random.default_rng(8)
    source = 1.5 * rng.standard_normal((800, 4))
    mix, out = rng.standard_normal((4, 4)), rng.standard_normal((4, 5))
    target = np.tanh(source @ mix) @ out
    bent = fit_map("mlp", source, target, 0, None)
    straight = fit_map("ridge", source, target, 0, None)
    assert bent.r2_held_out is not None and straight.r2_held_out is not None
    assert bent.r2_held_out > straight.r2_held_out + 0.02
    assert bent.r2_linear is not None and bent.r2_linear < bent.r2_held_out
    assert bent.rank == round(np.sqrt(4 * 5))
    sides = split_sides(source, target, None, 0)
    network = fit_mlp(sides, 0)
    step = 1e-5 * np.eye(4)
    slopes = [
        (network(sides.source + s) - network(sides.source - s)).mean(axis=0) / 2e-5 for s in step
    ]
    np.testing.assert_allclose(bent.matrix, slopes, atol=1e-6)


def test_an_mlp_is_decided_by_its_seed() -> None:
    source, target, _ = planted(200, D, D, 0)
    first, again, other = (fit_map("mlp", source, target, s, None).matrix for s in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
