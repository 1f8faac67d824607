"""Paired states: both sides of pairs, with a planted shift between them."""

from __future__ import annotations

import numpy as np

N, L, D = 24, 3, 10


def states(seed: int, shift: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((N, L, D))
    spread = np.linspace(2.0, 0.3, D)
    return base + shift * np.eye(D)[4] + rng.standard_normal((N, L, D)) * spread, base
