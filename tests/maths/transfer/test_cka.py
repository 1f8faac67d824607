"""Is the CKA the unbiased one, blind to basis and scale, and about 0 where nothing is shared?"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mahals.maths.transfer.cka import debiased_cka, unbiased_hsic
from mahals.records import InputError


def states(seed: int, n: int = 40, d: int = 7) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)) * np.linspace(3, 1, d)


def turn(seed: int, d: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]


def biased(x: np.ndarray, y: np.ndarray) -> float:
    """Linear CKA as Kornblith et al. 2019 first gave it."""
    x, y = x - x.mean(0), y - y.mean(0)
    cross = np.linalg.norm(x.T @ y) ** 2
    return float(cross / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y))


def test_hsic_is_the_mean_over_all_quadruples_of_different_texts() -> None:
    """The U-statistic that it estimates without bias, by its definition."""
    a, b = states(0, 6, 3), states(1, 6, 2)
    k, m = a @ a.T, b @ b.T
    terms = [
        k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(6), 4)
    ]
    assert unbiased_hsic(a, b) == pytest.approx(np.mean(terms))


def test_hsic_is_the_published_formula_on_gram_matrices() -> None:
    a, b, n = states(2), states(3, d=11), 40
    b[:, 0] += a[:, 0]
    k, m = a @ a.T, b @ b.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    one = np.ones(n)
    apart = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    whole = np.trace(k @ m) + apart - 2 / (n - 2) * one @ k @ m @ one
    assert unbiased_hsic(a, b) == pytest.approx(whole / (n * (n - 3)))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), shift=st.floats(-100, 100), scale=st.floats(1e-3, 1e3))
def test_basis_place_and_scale_do_not_matter(seed: int, shift: float, scale: float) -> None:
    x, y = states(seed), states(seed + 1, d=5)
    y[:, :2] += x[:, :2]
    other = scale * (x @ turn(seed, 7)) + shift
    assert debiased_cka(other, y) == pytest.approx(debiased_cka(x, y), abs=1e-6)
    assert debiased_cka(other, x) == pytest.approx(1.0)
    assert debiased_cka(y, x) == pytest.approx(debiased_cka(x, y))


def test_without_anything_shared_it_is_0_where_the_biased_one_is_high() -> None:
    pairs = [(states(2 * s, 50, 200), states(2 * s + 1, 50, 200)) for s in range(20)]
    assert np.mean([biased(x, y) for x, y in pairs]) > 0.7
    found = [debiased_cka(x, y) for x, y in pairs]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(20)
    assert abs(np.mean(found)) < 0.03


def test_more_that_is_shared_gives_more() -> None:
    x, noise = states(4, 300), states(5, 300)
    found = [debiased_cka(x, x + a * noise) for a in (0.0, 0.5, 1.0, 3.0)]
    assert found == sorted(found, reverse=True) and found[0] == pytest.approx(1)


def test_bad_input_is_refused() -> None:
    x = states(6)
    with pytest.raises(InputError, match="n >= 4"):
        debiased_cka(x[:3], x[:3])
    with pytest.raises(InputError, match="40 and 39 rows"):
        debiased_cka(x, x[:39])
    with pytest.raises(InputError, match="40 equal rows"):
        debiased_cka(np.ones((40, 3)), x)
    with pytest.raises(InputError, match="1 that are not"):
        debiased_cka(np.where(x == x.max(), np.nan, x), x)
    with pytest.raises(InputError, match="HSIC with itself"):
        debiased_cka(np.eye(40)[:, :1] * 0 + np.arange(40)[:, None] // 39, x)
