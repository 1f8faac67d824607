"""Scored states: normal samples of a known AQI, and the score computed by another library."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import calinski_harabasz_score


def sample(n: int, d: int, aqi: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal states whose population AQI is `aqi`: 100 (D/4) / (D/4 + d), D = delta^2."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    delta = 2 * np.sqrt(d * aqi / (100 - aqi))
    shift = np.zeros(d)
    shift[0] = delta
    return rng.standard_normal((n, d)) + labels[:, None] * shift, labels


def sklearn_score(x: np.ndarray, y: np.ndarray) -> float:
    """The score from scikit-learn's Calinski-Harabasz index alone."""
    n, ch = len(x), calinski_harabasz_score(x, y)
    eta2 = ch / (ch + n - 2)
    return float(100 * ((n - 1) * eta2 - 1) / (n - 1 - eta2))


LABELS = np.tile([0, 1], 12)
AXIOMS = ["a"] * 12 + ["b"] * 12
CLUSTERS = [f"c{i // 3}" for i in range(24)]
