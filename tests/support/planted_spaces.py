"""Planted spaces: states of two models and the rotation that carries one to the other."""

from __future__ import annotations

import numpy as np

D = 12


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def planted(n: int, d_s: int, d_t: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source states of unequal spread, their image under a hidden rotation, and that map."""
    rng = np.random.default_rng(seed)
    source = rng.standard_normal((n, d_s)) * np.linspace(3, 1, d_s) + 5.0
    turn = np.linalg.qr(rng.standard_normal((max(d_s, d_t),) * 2))[0][:d_s, :d_t]
    return source, source @ turn + 0.05 * rng.standard_normal((n, d_t)) - 9.0, turn
