"""Gains: are gains, gaps, trends and their intervals those computed by hand?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from mahals.maths.stats.intervals import wilson
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import (
    collect,
    rates,
    transfer_efficiency,
    trend,
    trend_over_random,
)
from mahals.reporting.headlines import headline_line
from tests.support.arm_rows import DRAWS, N, arm_row, at_dose, evidence, sample
from tests.support.tiny_lab import MemoryKept


def test_gain_and_gain_over_each_family_by_hand() -> None:
    rows, kept = sample()
    (found,) = collect(ArmTable(rows, kept))
    x = kept.files["A/evidence"]["influence"].numpy()
    difference = x[1] - x[0]
    error = np.sqrt((difference**2).sum() / (N * (N - 1)))
    assert found.gain.estimate == pytest.approx(rows[1].aqi - rows[0].aqi)
    half = stats.t.ppf(0.975, N - 1) * error
    assert found.gain.high - found.gain.estimate == pytest.approx(half)
    assert found.gain_last == found.gain, "the headline readout of these rows"
    assert found.gain_mean.estimate == pytest.approx(rows[1].aqi_mean - rows[0].aqi_mean)
    assert found.gain_mean.standard_error == pytest.approx(error / 2)

    for family, first in (("random", 2), ("shuffled_pairs", 2 + DRAWS)):
        some = slice(first, first + DRAWS)
        draws = np.array([r.aqi for r in rows[some]])
        against = x[1] - x[some].mean(axis=0)
        total = np.sqrt(draws.var(ddof=1) * (1 + 1 / DRAWS) + (against**2).sum() / (N * (N - 1)))
        over = found.over[family].aqi
        assert over is not None and over.n_random == DRAWS
        assert over.interval.estimate == pytest.approx(rows[1].aqi - draws.mean())
        low = over.interval.estimate - stats.t.ppf(0.975, DRAWS - 1) * total
        assert over.interval.low == pytest.approx(low)
        expected = 2 * stats.t.sf(abs(over.interval.estimate) / total, DRAWS - 1)
        assert over.p == pytest.approx(expected)


def test_the_refusal_gap_over_nulls_by_hand() -> None:
    """Two means of their own, each with one pseudo-observation at either end (Agresti, Min)."""
    rows, kept = sample()
    (found,) = collect(ArmTable(rows, kept))
    tensors = kept.files["A/evidence"]
    refused = tensors["refused"].numpy().astype(float)
    safe = tensors["labels"].numpy() == 1
    gaps = refused[:, ~safe].mean(axis=1) - refused[:, safe].mean(axis=1)
    assert found.gap.estimate == pytest.approx(gaps[1])

    def variance(d: np.ndarray) -> float:
        sides = [np.concatenate([d[g], [0.5**0.5, -(0.5**0.5)]]) for g in (safe, ~safe)]
        return float(sum(s.var() / len(s) for s in sides))

    apart = refused[1] - refused[0]
    assert found.gap_gain.estimate == pytest.approx(gaps[1] - gaps[0])
    assert found.gap_gain.standard_error == pytest.approx(np.sqrt(variance(apart)))
    for family, first in (("random", 2), ("shuffled_pairs", 2 + DRAWS)):
        nulls = slice(first, first + DRAWS)
        over = found.over[family]
        assert over.mean_gap == pytest.approx(gaps[nulls].mean())
        assert over.gap.interval.estimate == pytest.approx(gaps[1] - gaps[nulls].mean())
        spread = max(gaps[nulls].var(ddof=1), 1 / 12**2) * (1 + 1 / DRAWS)
        total = spread + variance(refused[1] - refused[nulls].mean(axis=0))
        assert over.gap.interval.standard_error == pytest.approx(np.sqrt(total))


def test_the_harder_family_is_that_which_the_gap_beats_least() -> None:
    rows, kept = sample()
    refused = kept.files["A/evidence"]["refused"]
    refused[1] = kept.files["A/evidence"]["labels"] == 0
    for harder, easier, name in (
        (slice(2, 6), slice(6, 10), "random"),
        (slice(6, 10), slice(2, 6), "shuffled_pairs"),
    ):
        refused[easier] = False
        refused[harder] = False
        refused[harder, :12:2] = True  # six of the unsafe ones
        (found,) = collect(ArmTable(rows, kept))
        assert found.harder == name and found.random_gap == pytest.approx(0.5)
        assert found.gap_over_random is found.over[name].gap
        assert found.gap_over_random.interval.estimate == pytest.approx(0.5)
        assert found.beats_nulls == (found.gap_over_random.interval.low > 0)


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


def test_only_null_arms_of_the_same_place_and_dose_are_compared_with() -> None:
    for change in ({"operator": "add_preserve_norm"}, {"layers": (2,)}, {"dose": 0.2}):
        rows, kept = sample(**change)
        (found,) = collect(ArmTable(rows, kept))
        assert found.over == {} and found.harder is None and not found.beats_nulls
        assert (found.over_random, found.gap_over_random, found.random_gap) == (None, None, None)
        assert "over nulls absent" in headline_line(found)


def test_each_null_counts_at_the_dose_where_it_does_best_of_the_arms_and_those_above() -> None:
    rows, kept = sample()
    tensors = kept.files["A/evidence"]
    more = {k: torch.cat([v, v]) if v.ndim == 2 else v for k, v in tensors.items()}
    unsafe = tensors["labels"] == 0
    more["refused"][:] = False
    more["refused"][1] = unsafe
    count = len(rows)
    rows = [replace(r, refusal_unsafe=0.0, refusal_safe=0.0) for r in rows]
    above = [
        at_dose(
            r,
            0.2,
            evidence_row=count + r.evidence_row,
            refusal_unsafe=float(r.arm == "random"),
        )
        for r in rows[2:]
    ]
    more["refused"][count + 2 : count + 2 + DRAWS] = unsafe  # the isotropic ones, at .2 nats
    table = ArmTable([*rows, *above], MemoryKept({"A/evidence": more}))
    (found,) = collect(table)
    assert found.over["random"].gap.interval.estimate == 0
    assert found.over["random"].mean_gap == found.random_gap == 1.0
    assert found.over["shuffled_pairs"].gap.interval.estimate == 1.0
    assert found.harder == "random" and not found.beats_nulls
    higher = [at_dose(r, 0.2) if r.arm == "steered" else r for r in [*rows, *above]]
    (one,) = collect(ArmTable(higher, table.kept))
    assert one.over["random"].gap.interval.estimate == 0, "at .2 the nulls of .1 do not count"
    below = [at_dose(r, 0.05) for r in above]
    assert collect(ArmTable([*rows, *below], table.kept))[0].beats_nulls, "nor do lower ones"


def test_nulls_that_break_at_a_higher_dose_take_nothing_from_a_claim() -> None:
    """Their text collapses, which fails safe prompts: a gap far below 0, and a wide spread."""
    rows, kept = sample()
    tensors = kept.files["A/evidence"]
    more = {k: torch.cat([v, v]) if v.ndim == 2 else v for k, v in tensors.items()}
    more["refused"][:] = False
    more["refused"][1] = tensors["labels"] == 0
    count = len(rows)
    broken = [count + i for i in range(2, count, 2)]  # every other one
    more["refused"][broken] = tensors["labels"] == 1
    rows = [replace(r, refusal_unsafe=0.0, refusal_safe=0.0) for r in rows]
    above = [
        at_dose(
            r,
            0.2,
            evidence_row=count + r.evidence_row,
            refusal_safe=float(count + r.evidence_row in broken),
        )
        for r in rows[2:]
    ]
    held = MemoryKept({"A/evidence": more})
    (alone,), (beside,) = collect(ArmTable(rows, held)), collect(ArmTable([*rows, *above], held))
    assert {f: o.gap for f, o in beside.over.items()} == {f: o.gap for f, o in alone.over.items()}
    assert beside.beats_nulls


def test_fewer_than_two_arms_are_no_family_and_one_family_beats_nothing() -> None:
    rows, kept = sample()
    kept.files["A/evidence"]["refused"][2:] = False
    kept.files["A/evidence"]["refused"][1] = kept.files["A/evidence"]["labels"] == 0
    assert collect(ArmTable(rows, kept))[0].beats_nulls
    lone = rows[: 2 + DRAWS + 1]  # one arm of shuffled pairs
    (found,) = collect(ArmTable(lone, kept))
    assert set(found.over) == {"random"} and found.over["random"].gap.interval.low > 0
    assert not found.beats_nulls, "a claim has to beat two families"
    two = rows[: 2 + DRAWS + 2]
    assert set(collect(ArmTable(two, kept))[0].over) == {"random", "shuffled_pairs"}


def test_geometry_only_is_aqi_up_without_a_gap_above_the_nulls() -> None:
    for aqi, refuses, expected in ((99.0, False, True), (99.0, True, False), (-99.0, False, False)):
        rows, kept = sample(aqi=aqi)
        tensors = kept.files["A/evidence"]
        tensors["refused"][2:] = False
        tensors["refused"][1] = (tensors["labels"] == 0) & refuses
        assert collect(ArmTable(rows, kept))[0].geometry_only is expected
    rows, kept = sample(aqi=99.0)
    tensors = kept.files["A/evidence"]
    tensors["refused"][:] = False
    tensors["refused"][1:] = tensors["labels"] == 0  # the nulls refuse all that is unsafe too
    (found,) = collect(ArmTable(rows, kept))[:1]
    assert not found.beats_nulls and found.gap_gain.low > 0
    assert not found.geometry_only, "its refusals are up, and the nulls' as well"
    alone, kept = sample(aqi=99.0, dose=0.2)
    assert not collect(ArmTable(alone, kept))[0].geometry_only, "nothing is known of the nulls"


def test_where_no_arm_refuses_anything_the_gap_has_an_interval_around_0() -> None:
    rows, kept = sample()
    kept.files["A/evidence"]["refused"][:] = False
    (found,) = collect(ArmTable(rows, kept))
    over = found.gap_over_random
    assert over is not None and over.interval.estimate == 0 == found.random_gap
    assert -1 <= over.interval.low < 0 < over.interval.high <= 1 and over.p == 1.0


def test_the_gap_over_the_instructed_model_is_paired_by_prompt() -> None:
    rows, kept = sample()
    prompt = arm_row("prompt", 3)
    steered, instructed = collect(ArmTable([*rows, prompt], kept))
    refused = kept.files["A/evidence"]["refused"].numpy().astype(float)
    safe = kept.files["A/evidence"]["labels"].numpy() == 1
    apart = refused[1] - refused[3]
    assert steered.over_prompt is not None
    by_hand = apart[~safe].mean() - apart[safe].mean()
    assert steered.over_prompt.estimate == pytest.approx(by_hand)
    assert instructed.over_prompt is None, "it is not compared with itself"
    assert collect(ArmTable(rows, kept))[0].over_prompt is None


def test_rates_have_wilson_intervals() -> None:
    rows, kept = sample(degenerate_share=3 / N)
    found = rates(ArmTable(rows, kept).arm(rows[1]))
    tensors = kept.files["A/evidence"]
    own, unsafe = tensors["refused"][1], tensors["labels"] == 0
    assert found.refusal_unsafe == wilson(int(own[unsafe].sum()), N // 2)
    assert found.refusal_safe == wilson(int(own[~unsafe].sum()), N // 2)
    assert found.degenerate_share == wilson(3, N)


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
            mean = np.mean([r.aqi for r in rows[2 : 2 + DRAWS]])
            assert found.interval.estimate == pytest.approx((105 - mean) / (200 - mean))
            assert found.interval.low < found.interval.estimate < found.interval.high
        else:
            assert found.reason == "the native gain over random is not above 0"


def test_a_perfect_arm_and_half_of_one_have_a_transfer_efficiency() -> None:
    """All unsafe, no safe prompt refused, beside nulls that refuse nothing: 1; half of it: .5."""
    m, k = 80, 20
    rows = [arm_row("unsteered", 0), arm_row("steered", 1)]
    rows += [
        arm_row("steered", i, source="B", map="ridge", method=f"{i}", aqi=20.0) for i in (2, 3, 4)
    ]
    for family in ("random", "shuffled_pairs", "shuffled"):
        rows += [arm_row(family, len(rows) + i, draw=i) for i in range(k)]
    refused = np.zeros((len(rows), m), dtype=bool)
    refused[1:3, ::2] = True  # the unsafe ones
    refused[3, ::4] = True
    influence = np.random.default_rng(0).normal(0, 1, (len(rows), N))
    table = ArmTable(rows, MemoryKept({"A/evidence": evidence(influence, refused)}))
    native, whole, half, none = collect(table)
    found = [transfer_efficiency(e, native, table, "gap").interval for e in (whole, half, none)]
    for share, truth in zip(found, (1.0, 0.5, 0.0), strict=True):
        assert share is not None and share.estimate == pytest.approx(truth, abs=0.02)
        assert share.low < truth < share.high and share.high - share.low < 0.5
    assert transfer_efficiency(native, none, table, "gap").reason is not None
