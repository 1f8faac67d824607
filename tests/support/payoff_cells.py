"""Payoff cells: measured conversations whose payoffs are known."""

from __future__ import annotations

import numpy as np

from mahals.maths.games.payoffs import Cell, Weights

WEIGHTS = Weights(aqi=1.0, homophily=0.5, cost=0.25, kl_ceiling=0.4)
SHAPE = (2, 3)


def cells(seed: int = 0, episodes: int = 12, noise: float = 4.0) -> dict:
    """Planted: AQI 20 + 10 x own strength, KL 0.1 x own strength, the same on both axioms."""
    rng = np.random.default_rng(seed)
    found = {}
    for joint in np.ndindex(*SHAPE):
        own = np.array(joint, dtype=float)
        aqi = 20 + 10 * own[None, :, None] + noise * rng.normal(size=(episodes, 2, 2))
        found[joint] = Cell(aqi, np.tile(0.1 * own, (episodes, 1)))
    return found
