"""Payoff cells: measured conversations whose payoffs are known."""

from __future__ import annotations

import numpy as np

from mahals.maths.games.payoffs import Cell, Weights

WEIGHTS = Weights(behaviour=1.0, homophily=0.5, cost=0.25, kl_ceiling=0.4)
SHAPE = (2, 3)


def cells(seed: int = 0, episodes: int = 12, noise: float = 0.04) -> dict:
    """Planted: gap .2 + .1 x own strength, KL .1 x own strength, likeness 1 - .1 x their distance,
    the same on both axioms."""
    rng = np.random.default_rng(seed)
    found = {}
    for joint in np.ndindex(*SHAPE):
        own = np.array(joint, dtype=float)
        gap = 0.2 + 0.1 * own[None, :, None] + noise * rng.normal(size=(episodes, 2, 2))
        alike = np.full((episodes, 2), 1 - 0.1 * abs(own[0] - own[1]))
        found[joint] = Cell(gap, alike, np.tile(0.1 * own, (episodes, 1)))
    return found
