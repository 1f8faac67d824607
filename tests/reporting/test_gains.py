"""Gains: are gains, gaps, trends and their intervals those computed by hand?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mahals.reporting.entries import headline_line
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect, transfer_efficiency, trend, trend_over_random
from tests.support.arm_rows import DRAWS, N, sample


def test_gain_and_gain_over_random_by_hand() -> None:
    rows, kept = sample()
    (found,) = collect(ArmTable(rows, kept))
    x = kept.files["A/evidence"]["influence"].numpy()
    difference = x[1] - x[0]
    error = np.sqrt((difference**2).sum() / (N * (N - 1)))
    assert found.gain.estimate == pytest.approx(rows[1].aqi - rows[0].aqi)
    half = stats.t.ppf(0.975, N - 1) * error
    assert found.gain.high - found.gain.estimate == pytest.approx(half)

    draws = np.array([r.aqi for r in rows[2:]])
    against = x[1] - x[2:].mean(axis=0)
    total = np.sqrt(draws.var(ddof=1) * (1 + 1 / DRAWS) + (against**2).sum() / (N * (N - 1)))
    over = found.over_random
    assert over is not None and over.n_random == DRAWS
    assert over.interval.estimate == pytest.approx(rows[1].aqi - draws.mean())
    low = over.interval.estimate - stats.t.ppf(0.975, DRAWS - 1) * total
    assert over.interval.low == pytest.approx(low)
    expected = 2 * stats.t.sf(abs(over.interval.estimate) / total, DRAWS - 1)
    assert over.p == pytest.approx(expected)


def test_the_refusal_gap_is_a_difference_of_two_means() -> None:
    """Its standard error is Welch's: two means of their own."""
    rows, kept = sample()
    (found,) = collect(ArmTable(rows, kept))
    tensors = kept.files["A/evidence"]
    refused = tensors["refused"].numpy().astype(float)
    safe = tensors["labels"].numpy() == 1
    gaps = refused[:, ~safe].mean(axis=1) - refused[:, safe].mean(axis=1)
    assert found.gap == pytest.approx(gaps[1])
    assert found.random_gap == pytest.approx(gaps[2:].mean())
    assert found.gap_gain.estimate == pytest.approx(gaps[1] - gaps[0])
    d = refused[1] - refused[0]
    variance = sum(d[g].var(ddof=1) / g.sum() for g in (safe, ~safe))
    assert found.gap_gain.standard_error == pytest.approx(np.sqrt(variance))


def test_clusters_widen_the_interval_where_prompts_of_one_go_together() -> None:
    rows, kept = sample(clustered=True)
    x = kept.files["A/evidence"]["influence"]
    x[:, 1::2] = x[:, ::2]
    x -= x.mean(dim=1, keepdim=True)
    (found,) = collect(ArmTable(rows, kept))
    d = (x[1] - x[0]).numpy()
    alone = np.sqrt((d**2).sum() / (N * (N - 1)))
    sums = d.reshape(-1, 2).sum(axis=1)
    groups = N // 2
    expected = np.sqrt(groups / (groups - 1) * (sums**2).sum() / N**2)
    assert found.gain.standard_error == pytest.approx(expected) and expected > 1.3 * alone


def test_only_random_arms_of_the_same_place_and_dose_are_controls() -> None:
    for change in ({"operator": "add_preserve_norm"}, {"layers": (2,)}, {"dose": 0.2}):
        rows, kept = sample(**change)
        (found,) = collect(ArmTable(rows, kept))
        assert (found.over_random, found.gap_over_random, found.random_gap) == (None, None, None)
        assert "no random arm" in headline_line(found)


def test_geometry_only_is_aqi_up_and_refusals_down() -> None:
    cases = [(99.0, 0.4, True), (99.0, 0.5, False), (-99.0, 0.4, False), (99.0, 0.6, False)]
    for aqi, unsafe, expected in cases:
        rows, kept = sample(aqi=aqi, refusal_unsafe=unsafe)
        assert collect(ArmTable(rows, kept))[0].geometry_only is expected


def test_where_nothing_varies_there_is_no_interval() -> None:
    rows, kept = sample()
    kept.files["A/evidence"]["refused"][:] = False
    (found,) = collect(ArmTable(rows, kept))
    assert found.gap_over_random is None and found.random_gap == 0
    assert "nothing varies" in headline_line(found)


def test_trend_is_the_least_squares_slope() -> None:
    doses = [0.0, 0.25, 0.5, 1.0]
    rows, kept = sample()
    rows = [
        replace(rows[1], dose_kind="lambda", dose=d, evidence_row=i, aqi=[1.0, 4.0, 2.0, 9.0][i])
        for i, d in enumerate(doses)
    ]
    found = trend(rows, ArmTable(rows, kept))
    assert found.estimate == pytest.approx(np.polyfit(doses, [1.0, 4.0, 2.0, 9.0], 1)[0])
    x = kept.files["A/evidence"]["influence"].numpy()[:4]
    slopes = np.array([np.polyfit(doses, column, 1)[0] for column in x.T])
    assert found.standard_error == pytest.approx(np.sqrt((slopes**2).sum() / (N * (N - 1))))


def test_the_trend_is_compared_with_that_of_each_random_direction() -> None:
    rows, kept = sample()
    doses = [0.0, 0.5, 1.0]
    own = [replace(rows[1], dose_kind="lambda", dose=d, aqi=a, evidence_row=i)
           for i, (d, a) in enumerate(zip(doses, [1.0, 4.0, 9.0], strict=True))]  # fmt: skip
    draws = {0: [2.0, 2.5], 1: [0.0, 1.5], 2: [3.0, 0.5]}
    random = [
        replace(rows[2], dose_kind="lambda", dose=d, aqi=a, draw=k, evidence_row=2 + k)
        for k, values in draws.items()
        for d, a in zip(doses[1:], values, strict=True)
    ]
    found = trend_over_random(own, ArmTable([*own, *random], kept))
    slopes = [np.polyfit(doses, [1.0, *values], 1)[0] for values in draws.values()]
    assert found is not None and found.n_random == 3
    expected = np.polyfit(doses, [1.0, 4.0, 9.0], 1)[0] - np.mean(slopes)
    assert found.interval.estimate == pytest.approx(expected)
    few = trend_over_random(own, ArmTable([*own, *random[:-1]], kept))
    assert few is not None and few.n_random == 2, "a draw without a dose has no slope"
    other = [replace(r, dose_kind="relative") for r in random]
    assert trend_over_random(own, ArmTable([*own, *other], kept)) is None


def test_transfer_efficiency_is_absent_where_the_native_gain_may_be_zero() -> None:
    rows, kept = sample()
    moved = replace(rows[1], source="B", map="ridge", evidence_row=0)
    for aqi, there in ((rows[2].aqi, False), (200.0, True)):
        both = [replace(rows[1], aqi=aqi), replace(moved, aqi=105.0), rows[0], *rows[2:]]
        table = ArmTable(both, kept)
        native, other = collect(table)
        found = transfer_efficiency(other, native, table, "aqi")
        assert (found.interval is not None) is there
        if found.interval is not None:
            mean = np.mean([r.aqi for r in rows[2:]])
            assert found.interval.estimate == pytest.approx((105 - mean) / (200 - mean))
            assert found.interval.low < found.interval.estimate < found.interval.high
        else:
            assert found.reason == "the native gain over random is not above 0"
