"""Rank correlation: does one number rise with another?"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from mahals.maths.stats.controls import permutation_p
from mahals.maths.stats.intervals import LEVEL, Floats, finite
from mahals.records import InputError

EXACT_UP_TO = 7  # points whose orders are all enumerated (5040)
PERMUTATIONS = 9999


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho with its 95 % interval and two-sided permutation p-value."""

    rho: float
    low: float
    high: float
    p: float
    n: int


def spearman(x: npt.ArrayLike, y: npt.ArrayLike, seed: int) -> RankCorrelation:
    """Spearman's rank correlation of x and y, both (n,); +1 is rising throughout.

    Ties get mean ranks. p by permutation, exact up to 7 points, else 9,999 seeded orders. The
    interval is Fisher's z with the standard error of Bonett and Wright (2000); a rho of +-1 is
    moved to the nearest smaller attainable value before, so that few points never give an
    interval of no width. Raises InputError for n < 4, unequal lengths or a constant side.
    """
    a, b = finite(x, "rank correlation", 1), finite(y, "rank correlation", 1)
    n = len(a)
    if n < 4 or len(b) != n or np.ptp(a) == 0 or np.ptp(b) == 0:
        raise InputError(
            "rank correlation",
            expected="at least 4 pairs, neither side constant",
            got=f"{n} and {len(b)} values, {len(set(a))} and {len(set(b))} different",
            cure="measure more points, or leave the correlation absent",
        )
    ranks_a, ranks_b = _unit_ranks(a), _unit_ranks(b)
    rho = float(np.clip(ranks_a @ ranks_b, -1.0, 1.0))
    null = np.abs(ranks_b[_orders(n, seed)] @ ranks_a)
    if n <= EXACT_UP_TO:
        p = float((null >= abs(rho) - 1e-12).mean())
    else:
        p = permutation_p(abs(rho), null)
    inside = float(np.clip(rho, -1 + 12 / (n * (n * n - 1)), 1 - 12 / (n * (n * n - 1))))
    half = special.ndtri(0.5 + LEVEL / 2) * math.sqrt((1 + inside**2 / 2) / (n - 3))
    z = math.atanh(inside)
    low, high = math.tanh(z - half), math.tanh(z + half)
    return RankCorrelation(rho, min(low, rho), max(high, rho), p, n)


def _unit_ranks(values: Floats) -> Floats:
    """Mean ranks, centred, of length one."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    ranks = (upper - (counts - 1) / 2)[index]
    ranks = ranks - ranks.mean()
    return np.asarray(ranks / np.linalg.norm(ranks))


def _orders(n: int, seed: int) -> npt.NDArray[np.int64]:
    """All orders of n points where they are few, else seeded random ones."""
    if n <= EXACT_UP_TO:
        return np.array(list(itertools.permutations(range(n))))
    keys = np.random.default_rng(seed).random((PERMUTATIONS, n))
    return np.asarray(np.argsort(keys, axis=1))
