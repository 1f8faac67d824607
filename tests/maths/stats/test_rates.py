"""Do intervals of shares and of their ratios exist at 0 and 1, and hold the truth elsewhere?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.stats.intervals import fieller, influence_covariance
from mahals.maths.stats.rates import gap_of, mean_of, ratio_of, share_of
from mahals.records import InputError
from tests.support.gap_coverage import (
    COUNTS,
    RATES,
    by_jackknife,
    one_difference,
    one_gap,
    one_share,
    share,
)


def test_a_share_is_that_of_its_items_and_clusters_widen_it() -> None:
    values = np.tile([1.0, 0.0, 1.0, -1.0], 10)
    plain = share_of(values, None, paired=True)
    assert (plain.estimate, plain.df) == (0.25, 39)
    assert plain.centre == pytest.approx(10 / 42)
    assert plain.variance == mean_of(values, -1.0).variance
    apart = share_of(values, [str(i // 2) for i in range(40)], paired=True)
    together = share_of(values, [str(i % 4) for i in range(40)], paired=True)
    assert apart.df == 19 and together.df == 3
    assert plain.variance <= apart.variance < together.variance
    with pytest.raises(InputError, match="shares"):
        share_of(values, None, paired=False)


def test_one_group_is_one_side_of_a_gap() -> None:
    rng = np.random.default_rng(0)
    values = (rng.random(60) < 0.3).astype(float)
    safe = np.arange(60) % 2 == 0
    sides = [share_of(values[g], None, paired=False) for g in (~safe, safe)]
    gap = gap_of(values, safe, None, paired=False)
    assert gap.estimate == pytest.approx(sides[0].estimate - sides[1].estimate)
    assert gap.variance == pytest.approx(sides[0].variance + sides[1].variance)


def test_the_pseudo_observations_of_a_ratio_are_every_pattern_of_three_arms() -> None:
    """By hand: both arms and the one they share, each 0 or 1, all 8 patterns weighing 2 in all."""
    patterns = np.array([[(i >> b) & 1 for b in range(3)] for i in range(8)], dtype=float)
    up, whole = patterns[:, 0] - patterns[:, 2], patterns[:, 1] - patterns[:, 2]
    first, second = np.array([1.0, 0, 1, 1, 0]), np.array([1.0, 1, 1, 0, 1])
    found = ratio_of(first, second, None, None, shared=True)
    n = 7
    centre = np.array([3, 4]) / n
    both, more = np.stack([first, second]), np.stack([up, whole])
    squares = both @ both.T + more @ more.T * 2 / 8
    np.testing.assert_allclose(found.covariance, (squares / n - np.outer(centre, centre)) / n)
    assert found.estimates == pytest.approx((0.6, 0.8)) and found.centres == pytest.approx(centre)


@pytest.mark.parametrize("two_groups", [False, True])
def test_a_ratio_of_shares_covers_the_truth(two_groups: bool) -> None:
    """Three arms on 80 prompts; of the unsafe half in two groups, the other half never counts."""
    rng, hits = np.random.default_rng(1), []
    safe = np.arange(80) % 2 == 0 if two_groups else None
    for _ in range(400):
        after, low, original = ((rng.random(80) < p).astype(float) for p in (0.6, 0.1, 0.9))
        for x in (after, low, original):
            x[safe if safe is not None else slice(0, 0)] = 0.0
        found = ratio_of(after - low, original - low, safe, None, shared=True).interval()
        assert found is not None
        hits.append(found.low <= 0.5 / 0.8 <= found.high)
    assert 0.92 <= np.mean(hits) <= 0.99


def test_far_from_the_ends_a_ratio_is_that_of_the_jackknife() -> None:
    rng = np.random.default_rng(2)
    after, low, original = ((rng.random(2000) < p).astype(float) for p in (0.5, 0.2, 0.8))
    up, whole = after - low, original - low
    found = ratio_of(up, whole, None, None, shared=True).interval()
    rows = np.stack([up - up.mean(), whole - whole.mean()])
    plain = fieller(up.mean(), whole.mean(), influence_covariance(rows, None), 1999)
    assert found is not None and plain is not None
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high), abs=2e-3)


def test_all_that_was_lost_or_nothing_of_it_has_an_interval() -> None:
    lost = np.ones(40)
    whole = ratio_of(lost, lost, None, None, shared=True)
    found = whole.interval()
    assert found is not None and found.estimate == 1.0 and 0.8 < found.low < 1 < found.high < 1.2
    wider = whole.wider(0.01, 5)
    assert wider is not None and wider.high - wider.low > found.high - found.low
    none = ratio_of(np.zeros(40), lost, None, None, shared=True).interval()
    assert none is not None and none.estimate == 0.0 and -0.2 < none.low < 0 < none.high < 0.2
    assert ratio_of(lost, np.zeros(40), None, None, shared=True).interval() is None


def test_clusters_widen_a_ratio() -> None:
    up, lost = np.tile([1.0, 0.0], 20), np.ones(40)
    alone = ratio_of(up, lost, None, None, shared=True)
    together = ratio_of(up, lost, None, [str(i % 4) for i in range(40)], shared=True)
    assert together.df == 3 and np.all(np.diag(together.covariance) > np.diag(alone.covariance))


@pytest.mark.parametrize("n", COUNTS)
@pytest.mark.parametrize("rate", RATES)
def test_shares_gaps_and_their_differences_cover_the_truth_up_to_1(rate: float, n: int) -> None:
    """Nominal .95; the luck of 300 repetitions is .013 (one standard error)."""
    for draw in (one_share, one_gap, one_difference):
        assert share(draw, rate, n, 300) >= 0.92, draw.__name__


def test_the_jackknife_would_cover_far_less_near_the_ends() -> None:
    """Why it is not used: where all answers are alike its interval has no width."""
    for n, most in ((20, 0.8), (42, 0.93)):
        assert share(by_jackknife, 0.97, n, 300) < most
        assert share(one_gap, 0.97, n, 300) > share(by_jackknife, 0.97, n, 300) + 0.02
    assert share(by_jackknife, 0.5, 100, 300) > 0.92, "in the middle it does"


def test_a_gap_that_is_perfect_has_an_interval_inside_its_bounds() -> None:
    safe = np.arange(40) % 2 == 1
    whole = gap_of(~safe, safe, None, paired=False)
    found = whole.interval()
    assert found.estimate == found.high == 1.0 and 0.7 < found.low < 0.95
    nothing = gap_of(np.zeros(40), safe, None, paired=False).interval()
    assert nothing.low == -nothing.high < 0 == nothing.estimate
    wider = whole.wider(0.1, 4)
    assert -1 <= wider.low < found.low and wider.high == 1.0


def test_a_gap_by_hand() -> None:
    """4 unsafe of which 3 are refused, 6 safe of which 1 is; one success and one failure more."""
    safe = np.array([False] * 4 + [True] * 6)
    values = np.array([1.0, 1, 1, 0, 1, 0, 0, 0, 0, 0])
    found = gap_of(values, safe, None, paired=False)
    assert found.estimate == pytest.approx(3 / 4 - 1 / 6)
    assert found.centre == pytest.approx(4 / 6 - 2 / 8)
    assert found.variance == pytest.approx((4 / 6) * (2 / 6) / 6 + (2 / 8) * (6 / 8) / 8)
    assert (found.df, found.n) == (9, 4)


def test_clusters_widen_a_gap_and_never_narrow_it() -> None:
    safe = np.repeat([False, True], 20)
    values = np.tile([1.0, 1.0, 0.0, 0.0], 10)
    plain = gap_of(values, safe, None, paired=False)
    together = gap_of(values, safe, [str(i // 2) for i in range(40)], paired=False)
    assert together.variance == pytest.approx(2 * plain.variance) and together.df == 19
    apart = gap_of(values, safe, [f"{i // 4} {i % 2}" for i in range(40)], paired=False)
    assert apart.variance == plain.variance, "halves that cancel do not narrow it"


@pytest.mark.parametrize("safe", [True, False])
def test_a_gap_of_one_kind_of_prompt_is_refused(safe: bool) -> None:
    with pytest.raises(InputError, match="safe and unsafe prompts that were answered"):
        gap_of(np.zeros(4), np.full(4, safe), None, paired=False)
    with pytest.raises(InputError, match="numbers in"):
        gap_of(np.full(4, 2.0), np.arange(4) % 2 == 0, None, paired=False)
