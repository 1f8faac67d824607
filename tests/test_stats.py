"""Do the intervals and tests say what the textbooks and a second computation say?"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats as scipy_stats

from mahals.maths.stats.controls import (
    benjamini_hochberg,
    gain_over_random,
    permutation_p,
    probability_best,
)
from mahals.maths.stats.intervals import (
    fieller,
    influence_covariance,
    jackknife_interval,
    paired_difference,
    wilson,
)
from mahals.maths.stats.ranks import spearman
from mahals.records import InputError


def test_jackknife_of_a_mean_is_the_t_interval() -> None:
    x = np.random.default_rng(0).standard_normal(15)
    found = jackknife_interval(x - x.mean(), float(x.mean()), None)
    low, high = scipy_stats.t.interval(0.95, 14, x.mean(), scipy_stats.sem(x))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.standard_error == pytest.approx(scipy_stats.sem(x))


def test_clusters_of_one_change_nothing_and_copies_add_nothing() -> None:
    x = np.random.default_rng(1).standard_normal(12)
    x -= x.mean()
    alone = jackknife_interval(x, 3.0, None)
    assert jackknife_interval(x, 3.0, [str(i) for i in range(12)]) == alone
    copied = jackknife_interval(np.repeat(x, 5), 3.0, [str(i // 5) for i in range(60)])
    assert copied.standard_error == pytest.approx(alone.standard_error)
    assert copied.low == pytest.approx(alone.low)
    assert jackknife_interval(np.repeat(x, 5), 3.0, None).standard_error < alone.standard_error / 2


def test_paired_difference_is_the_t_test_of_differences() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((2, 20))
    b += a
    found = paired_difference(a - a.mean(), b - b.mean(), float(a.mean()), float(b.mean()), None)
    low, high = scipy_stats.ttest_rel(a, b).confidence_interval()
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_covariance_is_that_of_means() -> None:
    x = np.random.default_rng(3).standard_normal((3, 30))
    np.testing.assert_allclose(influence_covariance(x, None), np.cov(x) / 30)


def test_wilson_by_hand_and_at_its_ends() -> None:
    found = wilson(8, 10)  # z = 1.959964: centre (.8 + .19207) / 1.38415, half .22676
    assert (found.estimate, found.low, found.high) == (
        0.8,
        pytest.approx(0.49016, abs=1e-5),
        pytest.approx(0.94332, abs=1e-5),
    )
    assert wilson(0, 10).low == 0.0
    assert wilson(0, 10).high == pytest.approx(0.27753, abs=1e-5)
    assert wilson(10, 10).high == 1.0
    other = scipy_stats.binomtest(3, 17).proportion_ci(method="wilson")
    assert wilson(3, 17).low == pytest.approx(other.low)


def test_benjamini_hochberg_by_hand_and_against_scipy() -> None:
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.5]) == pytest.approx(
        [0.04, 0.04 * 4 / 3, 0.04 * 4 / 3, 0.5]
    )
    p = np.random.default_rng(0).uniform(size=40) ** 2
    np.testing.assert_allclose(benjamini_hochberg(list(p)), scipy_stats.false_discovery_control(p))
    assert benjamini_hochberg([]) == []


def test_permutation_p_counts_itself() -> None:
    assert permutation_p(2.0, [1.0, 2.0, 3.0]) == pytest.approx(3 / 4)
    assert permutation_p(9.0, np.zeros(999)) == pytest.approx(1 / 1000)


def random_study(seed: int, effect: float) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """K = 20 random arms and one more of the same kind plus `effect`, on 50 shared prompts."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1, 21)
    noise = rng.standard_normal((21, 50)) * 0.5
    noise -= noise.mean(axis=1, keepdims=True)
    values[0] += effect
    return float(values[0]), noise[0], values[1:], noise[1:]


def test_gain_over_random_of_a_random_arm_has_uniform_p() -> None:
    found = [gain_over_random(*random_study(s, 0.0), None) for s in range(600)]
    p = [f.p for f in found]
    assert scipy_stats.kstest(p, "uniform").pvalue > 0.01
    assert 0.92 <= np.mean([f.interval.low <= 0 <= f.interval.high for f in found]) <= 0.98
    # the error over prompts is in there too: with prompts that decide, p would be too small
    assert (
        np.mean([gain_over_random(*random_study(s, 6.0), None).p < 0.01 for s in range(50)]) > 0.9
    )


def test_gain_over_random_by_hand() -> None:
    draws = np.array([1.0, 2.0, 3.0])
    found = gain_over_random(5.0, np.zeros(4), draws, np.zeros((3, 4)), None)
    error = np.sqrt(1.0 * (1 + 1 / 3))
    assert found.interval.estimate == pytest.approx(3.0)
    assert found.interval.standard_error == pytest.approx(error)
    assert found.p == pytest.approx(2 * scipy_stats.t.sf(3 / error, 2))
    assert found.p_random == pytest.approx(1 / 4)
    assert (found.n_random, found.random_mean) == (3, 2.0)
    clear = found.interval.low > 0
    assert clear == (found.p < 0.05)


def test_gain_over_random_where_nothing_moves() -> None:
    same = gain_over_random(1.0, np.zeros(3), [1.0, 1.0], np.zeros((2, 3)), None)
    assert (same.p, same.interval.low, same.interval.high) == (1.0, 0.0, 0.0)
    with pytest.raises(InputError, match="differ among themselves"):
        gain_over_random(2.0, np.zeros(3), [1.0, 1.0], np.zeros((2, 3)), None)
    with pytest.raises(InputError, match="at least 2"):
        gain_over_random(2.0, np.zeros(3), [1.0], np.zeros((1, 3)), None)


def test_probability_best() -> None:
    shares = probability_best([0.0, 0.0, -50.0], np.eye(3), 20_000, 0)
    assert shares.sum() == pytest.approx(1.0)
    assert shares == pytest.approx([0.5, 0.5, 0.0], abs=0.02)
    # one against one: P(a > b) = Phi(gap / sd of the difference), with their covariance
    cov = np.array([[1.0, 0.8], [0.8, 1.0]])
    found = probability_best([0.5, 0.0], cov, 40_000, 1)[0]
    assert found == pytest.approx(scipy_stats.norm.cdf(0.5 / np.sqrt(0.4)), abs=0.01)
    assert (
        probability_best([0.5, 0.0], cov, 100, 1) == probability_best([0.5, 0.0], cov, 100, 1)
    ).all()
    assert probability_best([1.0, 1.0], np.zeros((2, 2)), 10, 0) == pytest.approx([0.5, 0.5])


def test_fieller_solves_its_equation_and_is_absent_near_zero() -> None:
    cov = np.array([[0.3, 0.1], [0.1, 0.2]])
    found = fieller(3.0, 4.0, cov, 12)
    assert found is not None
    t = scipy_stats.t.ppf(0.975, 12)
    for end in (found.low, found.high):  # both ends: numerator - end * denominator is t errors off
        error = np.sqrt(cov[0, 0] - 2 * end * cov[0, 1] + end**2 * cov[1, 1])
        assert abs(3.0 - end * 4.0) == pytest.approx(t * error)
    assert found.low < found.estimate < found.high
    assert fieller(3.0, 0.5, cov, 12) is None
    minus = fieller(3.0, -4.0, [[0.3, -0.1], [-0.1, 0.2]], 12)
    assert minus is not None
    assert (minus.low, minus.high) == (pytest.approx(-found.high), pytest.approx(-found.low))


def test_fieller_holds_the_ratio_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(600):
        x = rng.multivariate_normal([2, 4], [[1, 0.5], [0.5, 1]], 12)
        found = fieller(x[:, 0].mean(), x[:, 1].mean(), np.cov(x.T) / 12, 11)
        assert found is not None
        held.append(found.low <= 0.5 <= found.high)
    assert 0.92 <= np.mean(held) <= 0.98


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


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="at least 2 prompts or clusters"):
        jackknife_interval([0.0], 1.0, None)
    with pytest.raises(InputError, match="at least 2 prompts or clusters"):
        jackknife_interval([0.0, 1.0], 1.0, ["a", "a"])
    with pytest.raises(InputError, match="nan"):
        jackknife_interval([0.0, np.nan], 1.0, None)
    with pytest.raises(InputError, match="same prompts"):
        paired_difference([0.0, 1.0], [0.0, 1.0, 2.0], 0, 0, None)
    with pytest.raises(InputError, match="rate"):
        wilson(0, 0)
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        benjamini_hochberg([0.1, 1.1])
    with pytest.raises(InputError, match="neither side constant"):
        spearman([1, 1, 1, 1], [1, 2, 3, 4], 0)
    with pytest.raises(InputError, match="at least 4"):
        spearman([1, 2, 3], [1, 2, 3], 0)
    with pytest.raises(InputError, match="covariance"):
        probability_best([1.0, 2.0], np.eye(3), 10, 0)
