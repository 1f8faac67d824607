"""Is the rank correlation scipy's, and does its interval hold the truth?"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from mahals.maths.stats.ranks import spearman
from mahals.records import InputError


@pytest.mark.parametrize("n", [5, 6, 12, 40])
def test_spearman_is_scipys(n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.integers(0, n // 2 + 2, n).astype(float)
    y = x + rng.standard_normal(n) * n / 3
    other = scipy_stats.spearmanr(x, y)
    found = spearman(x, y, 0)
    assert found.rho == pytest.approx(other.statistic)
    assert found.low <= found.rho <= found.high
    if n >= 12:
        assert found.p == pytest.approx(other.pvalue, abs=0.03)
    else:
        orders = [
            scipy_stats.spearmanr(x, y[list(o)]).statistic for o in itertools.permutations(range(n))
        ]
        assert found.p == pytest.approx(np.mean(np.abs(orders) >= abs(found.rho) - 1e-12))


def test_spearman_of_a_perfect_order_still_has_an_interval() -> None:
    found = spearman([1, 2, 3, 4, 5], [1, 8, 27, 64, 125], 0)
    assert (found.rho, found.high) == (pytest.approx(1.0), pytest.approx(1.0))
    assert found.low < 0.9
    assert found.p == pytest.approx(2 / 120)


def test_spearman_interval_covers() -> None:
    truth = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's rho of a normal pair with r = .6
    rng = np.random.default_rng(0)
    held = []
    for _ in range(80):
        x, y = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 25).T
        found = spearman(x, y, 0)
        held.append(found.low <= truth <= found.high)
    assert np.mean(held) >= 0.88


def test_rank_correlations_refuse_bad_input() -> None:
    with pytest.raises(InputError, match="neither side constant"):
        spearman([1, 1, 1, 1], [1, 2, 3, 4], 0)
    with pytest.raises(InputError, match="at least 4"):
        spearman([1, 2, 3], [1, 2, 3], 0)
