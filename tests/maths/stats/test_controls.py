"""Are comparisons with random arms calibrated, and corrections those of scipy?"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from mahals.maths.stats.controls import (
    benjamini_hochberg,
    draw_variance,
    gain_over_random,
    gap_over_random,
    over_random,
    permutation_p,
    probability_best,
    share_over_random,
)
from mahals.records import InputError
from tests.support.gap_coverage import COUNTS, RATES, measured_ways, share


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


def test_comparisons_refuse_bad_input() -> None:
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        benjamini_hochberg([0.1, 1.1])
    with pytest.raises(InputError, match="covariance"):
        probability_best([1.0, 2.0], np.eye(3), 10, 0)


@pytest.mark.parametrize("draws", [3, 4, 7, 20])
def test_where_all_arms_refuse_the_same_half_there_is_no_interval_of_rounding(draws: int) -> None:
    """The mean of K equal numbers is not always that number: its error is no evidence."""
    rng = np.random.default_rng(draws)
    for n in (14, 30, 42, 70):
        influence = np.sqrt(n / (n - 1)) * rng.permutation(np.repeat([0.0, 1.0], n // 2) - 0.3) / 7
        clusters = [str(i // 2) for i in range(n)]
        random = [(0.1 + 0.2, influence.copy()) for _ in range(draws)]
        assert over_random(0.1 + 0.2, influence, random, clusters) is None
        other = influence.copy()
        other[0] += 0.5
        found = over_random(0.9, other, random, clusters)
        assert found is not None and found.interval.standard_error > 1e-3


def share_study(seed: int, lift: float) -> tuple[np.ndarray, np.ndarray]:
    """An arm and K = 10 more on 60 items; each arm has a rate of its own around .4."""
    rng = np.random.default_rng(seed)
    rates = np.clip(0.4 + 0.1 * rng.standard_normal(11), 0, 1)
    rates[0] = min(1.0, rates[0] + lift)
    found = (rng.random((11, 60)) < rates[:, None]).astype(float)
    return found[0], found[1:]


def test_a_share_over_random_covers_and_rejects() -> None:
    found = [share_over_random(*share_study(s, 0.0), None) for s in range(400)]
    assert 0.93 <= np.mean([f.interval.low <= 0 <= f.interval.high for f in found if f]) <= 0.995
    lifted = [share_over_random(*share_study(s, 0.5), None) for s in range(50)]
    assert np.mean([f.interval.low > 0 for f in lifted if f]) > 0.85


def test_a_share_over_random_by_hand() -> None:
    own, random = np.array([1.0, 1.0, 1.0, 0.0]), np.array([[0, 0, 1, 0], [1, 0, 1, 0.0]])
    found = share_over_random(own, random, None)
    assert found is not None
    apart = own - random.mean(axis=0)
    centre = apart.sum() / 6
    over_items = ((apart**2).sum() + 1) / 6 / 6 - centre**2 / 6
    spread = np.var([0.25, 0.5], ddof=1)
    spread = max(spread, 1 / 16) * 1.5
    assert found.interval.estimate == pytest.approx(0.75 - 0.375)
    assert found.interval.standard_error == pytest.approx(np.sqrt(over_items + spread))
    assert found.p_random == pytest.approx(1 / 3) and found.random_mean == pytest.approx(0.375)


def test_a_perfect_share_beside_nulls_without_any_has_an_interval() -> None:
    found = share_over_random(np.ones(50), np.zeros((10, 50)), None)
    assert found is not None and found.interval.estimate == found.interval.high == 1.0
    assert 0.8 < found.interval.low < 1 and found.p < 1e-6
    assert share_over_random(np.ones(5), np.zeros((1, 5)), None) is None


OVER = {name: way for name, way in measured_ways().items() if name.startswith("gap_over_random")}


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("rate", RATES)
def test_a_gap_over_nulls_covers_with_and_without_a_spread_of_theirs(rate: float, n: int) -> None:
    """Of one more null arm, and of an arm that refuses beside nulls that hardly do; K 5 and 20."""
    assert len(OVER) == 6
    for name, way in OVER.items():
        assert share(way, rate, n, 120) >= 0.9, name


def test_a_perfect_arm_beside_nulls_that_do_nothing_is_clearly_above_them() -> None:
    safe = np.arange(280) % 2 == 1
    found = gap_over_random((~safe).astype(float), np.zeros((20, 280)), safe, None)
    assert found is not None and found.interval.estimate == found.interval.high == 1.0
    assert 0.9 < found.interval.low < 1.0 and found.p < 1e-12
    assert (found.n_random, found.random_mean, found.p_random) == (20, 0.0, 1 / 21)
    few = gap_over_random((~safe).astype(float), np.zeros((5, 280)), safe, None)
    assert few is not None and 0 < few.interval.low < found.interval.low
    assert gap_over_random((~safe).astype(float), np.zeros((1, 280)), safe, None) is None
    with pytest.raises(InputError, match="null arms"):
        gap_over_random((~safe).astype(float), np.zeros((0, 280)), safe, None)
    with pytest.raises(InputError, match="safe and unsafe"):
        gap_over_random(np.ones(4), np.zeros((3, 4)), np.ones(4, dtype=bool), None)


def test_nulls_that_are_alike_by_chance_have_a_spread_of_one_prompt() -> None:
    assert draw_variance([0.3] * 4, 10) == pytest.approx((1 / 100) * (1 + 1 / 4))
    assert draw_variance([0.0, 1.0], 10) == pytest.approx(0.5 * 1.5)


def test_nulls_that_are_skewed_upward_vary_by_their_upper_side() -> None:
    """Three of twenty act: their distance from the mean counts, not the crowd at 0."""
    acting = [0.0] * 17 + [0.4, 0.5, 0.6]
    apart = [x - 0.075 for x in acting[17:]]
    upper = sum(x * x for x in apart) / 3
    assert draw_variance(acting, 42) == pytest.approx(upper * (1 + 1 / 20))
    assert upper > 4 * float(np.var(acting, ddof=1))
    broken = [-x for x in acting]
    spread = float(np.var(broken, ddof=1)) * (1 + 1 / 20)
    assert draw_variance(broken, 42) == pytest.approx(spread), "downward: the variance"


def test_a_rare_null_that_acts_is_no_finding() -> None:
    """The others that act a little warn of it, where their standard deviation would not."""
    safe = np.arange(84) % 2 == 1
    own = (~safe).astype(float)
    nulls = np.zeros((20, 84))
    for k, part in enumerate((0.6, 0.5, 0.35, 0.2)):
        nulls[k, np.flatnonzero(~safe)[: int(part * 42)]] = 1.0
    found = gap_over_random(own, nulls, safe, None)
    quiet = gap_over_random(own, np.zeros((20, 84)), safe, None)
    assert found is not None and quiet is not None
    assert quiet.interval.low > 0.8 and quiet.p < 1e-9
    assert 0 < found.interval.low < 0.3 and found.p > 0.001
