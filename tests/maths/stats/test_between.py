"""Between trainings: are means, intervals and predictions those of the textbook, and do they
cover?"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mahals.maths.stats.between import Estimate, apart, between, estimates, held
from mahals.records import InputError

RNG = np.random.default_rng


def test_the_mean_has_the_interval_of_scipys_t_test() -> None:
    values = RNG(1).normal(3, 2, 5).tolist()
    found = between(values).interval()
    ends = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((ends.low, ends.high))
    assert found.estimate == pytest.approx(np.mean(values))


def test_a_prediction_holds_the_next_training_and_the_interval_of_the_mean_does_not() -> None:
    rng, inside, mean_inside = RNG(2), 0, 0
    for _ in range(4000):
        *seen, new = rng.normal(0, 1, 6)
        over = between(seen)
        inside += over.prediction().low <= new <= over.prediction().high
        mean_inside += over.interval().low <= new <= over.interval().high
    assert inside / 4000 == pytest.approx(0.95, abs=0.015)
    assert mean_inside / 4000 < 0.8


def test_one_training_has_no_spread() -> None:
    for few in ([], [1.0]):
        with pytest.raises(InputError, match="numbers of trainings"):
            between(few)
    assert not between([2.0, 2.0, 2.0]).varies and between([2.0, 2.0, 2.1]).varies


def test_metrics_are_read_with_the_ends_that_they_have() -> None:
    metrics = {"a/b": 1.0, "a/b_low": 0.5, "a/b_high": 2.0, "c": 3.0, "d": 1.0, "d_low": 0.0}
    found = estimates(metrics)
    assert found["a/b"] == Estimate(1.0, 0.5, 2.0) and found["c"] == Estimate(3.0, None, None)
    assert set(found) == {"a/b", "c", "d", "d_low"}, "an end without the other is no interval"


@pytest.mark.parametrize(("low", "high", "side"), [(0.1, 0.3, 1), (-0.3, -0.1, -1), (-0.1, 0.2, 0)])
def test_the_side_is_that_of_the_whole_interval(low: float, high: float, side: int) -> None:
    assert Estimate((low + high) / 2, low, high).side == side
    assert Estimate(1.0, None, None).side == 0


def test_two_estimates_are_apart_when_their_difference_is_beyond_both_widths_together() -> None:
    one = Estimate(0.0, -3.0, 3.0)
    assert not apart(one, Estimate(4.9, 0.9, 8.9)), "root of 3 and 4 squared is 5"
    assert apart(one, Estimate(5.1, 1.1, 9.1)) and apart(Estimate(5.1, 1.1, 9.1), one)
    skewed = Estimate(4.0, 0.0, 4.1)  # only the end that faces the other counts
    assert not apart(one, skewed) and apart(one, Estimate(4.0, 3.9, 8.0))
    assert not apart(Estimate(1.0, 1.0, 1.0), Estimate(1.0 + 1e-12, 1.0, 1.0))
    with pytest.raises(InputError, match="an interval of each"):
        apart(Estimate(0.0, None, None), one)


def test_about_one_in_twenty_differences_of_the_same_truth_are_apart() -> None:
    rng = RNG(3)
    pairs = rng.normal(0, 1, (4000, 2)) * (1.0, 2.0)
    ends = [Estimate(a, a - 1.96, a + 1.96) for a in pairs[:, 0]]
    wide = [Estimate(b, b - 3.92, b + 3.92) for b in pairs[:, 1]]
    share = np.mean([apart(one, other) for one, other in zip(ends, wide, strict=True)])
    assert share == pytest.approx(0.05, abs=0.012)


def test_a_claim_holds_where_its_interval_is_on_the_side_of_the_mean() -> None:
    up, down, none = (
        Estimate(1.0, 0.5, 1.5), Estimate(-1.0, -1.5, -0.5), Estimate(0.1, -1.0, 1.0)
    )  # fmt: skip
    assert held([up, up, none]) == 2 and held([up, up, down]) == 2
    assert held([down, down, up]) == 2 and held([none, none]) == 0
