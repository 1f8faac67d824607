"""Are the intervals those of the textbooks and of scipy?"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from mahals.maths.stats.intervals import (
    Interval,
    fieller,
    influence_covariance,
    jackknife_interval,
    p_of_zero,
    paired_difference,
    t_interval,
    wilson,
)
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


def test_intervals_refuse_bad_input() -> None:
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


@pytest.mark.parametrize("df", [1, 2, 19, 300])
def test_the_p_of_an_interval_is_that_of_the_t_it_was_made_with(df: int) -> None:
    for estimate in (0.0, 0.3, -3.0, 5.0):
        interval = t_interval(estimate, 1.3, df)
        wanted = 2 * scipy_stats.t.sf(abs(estimate) / 1.3, df)
        assert p_of_zero(interval) == pytest.approx(wanted, rel=1e-6)
        assert (wanted < 0.05) == (not interval.low <= 0 <= interval.high)


def test_an_interval_not_made_by_t_has_no_p() -> None:
    assert p_of_zero(wilson(3, 10)) is None  # not symmetric
    assert p_of_zero(Interval(1.0, 1.0, 1.0, 0.0)) is None  # no width
    assert p_of_zero(Interval(1.0, 0.0, 2.0, 1.0)) is None  # narrower than any t at 95 %
