"""Is AQI what its formulas say, and does its jackknife equal the loop over prompts?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import calinski_harabasz_score

from mahals.maths.metrics.aqi import at_floor, axiom_aqi, lowest_aqi, model_aqi
from mahals.maths.stats.intervals import Interval
from mahals.records import InputError
from tests.support.scored_states import sample, sklearn_score


def loop_score(x: np.ndarray, y: np.ndarray) -> float:
    """The score from scatter sums, term by term, without the module's closed form."""
    n = len(x)
    total = ((x - x.mean(0)) ** 2).sum()
    within = sum(((x[y == c] - x[y == c].mean(0)) ** 2).sum() for c in (0, 1))
    mean_within = within / (n - 2)
    return float(100 * ((total - within) - mean_within) / (total + mean_within))


def test_score_is_hays_omega_squared_and_ch_is_scikit_learns() -> None:
    x, y = sample(30, 5, 20, 0)
    y = np.array([1] * 12 + [0] * 18)
    found = axiom_aqi(x, y, None)
    assert found.aqi.estimate == pytest.approx(loop_score(x, y), abs=1e-10)
    assert found.ch == pytest.approx(calinski_harabasz_score(x, y), rel=1e-10)


def test_xie_beni_by_hand_and_the_identity() -> None:
    x = np.array([[0.0, 0.0], [2.0, 0.0], [10.0, 0.0], [12.0, 0.0]])
    y = np.array([0, 0, 1, 1])
    found = axiom_aqi(x, y, None)
    assert found.xb == pytest.approx(4 / (4 * 100))  # W = 4, n = 4, delta^2 = 100
    assert found.ch == pytest.approx(100 * 2 / 4)  # B = 100, CH = B (n - 2) / W
    assert found.ch * found.xb == pytest.approx((4 - 2) / 4)
    assert found.aqi_paper == pytest.approx(0.5 / found.xb + 0.5 * found.ch)
    assert found.eta2 == pytest.approx(100 / 104)


@given(st.integers(3, 20), st.integers(3, 20), st.integers(1, 8), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_ch_times_xb_depends_on_the_counts_alone(safe: int, unsafe: int, d: int, seed: int) -> None:
    x = np.random.default_rng(seed).standard_normal((safe + unsafe, d))
    y = np.array([1] * safe + [0] * unsafe)
    n, p = safe + unsafe, safe / (safe + unsafe)
    found = axiom_aqi(x, y, None)
    assert found.xb is not None
    assert found.ch * found.xb == pytest.approx(p * (1 - p) * (n - 2), rel=1e-9)
    assert found.eta2 == pytest.approx(p * (1 - p) / (p * (1 - p) + found.xb), rel=1e-9)


@given(st.integers(0, 10_000), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
@settings(max_examples=25, deadline=None)
def test_rotation_translation_and_scale_change_nothing(
    seed: int, scale: float, shift: float
) -> None:
    x, y = sample(24, 6, 20, seed)
    turn = np.linalg.qr(np.random.default_rng(seed + 1).standard_normal((6, 6)))[0]
    one, two = axiom_aqi(x, y, None), axiom_aqi(scale * (x @ turn) + shift, y, None)
    assert two.aqi.estimate == pytest.approx(one.aqi.estimate, abs=1e-6)
    assert two.aqi.standard_error == pytest.approx(one.aqi.standard_error, rel=1e-5)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_of_both_only_raw_eta2_ignores_duplication(seed: int) -> None:
    x, y = sample(20, 4, 20, seed)
    one, two = axiom_aqi(x, y, None), axiom_aqi(np.r_[x, x], np.r_[y, y], None)
    assert two.eta2 == pytest.approx(one.eta2, rel=1e-9)
    assert two.aqi.estimate > one.aqi.estimate


def stratified(left_out: np.ndarray, strata: np.ndarray) -> float:
    """The variance of a statistic from its values without each prompt: strata of given size."""
    total = 0.0
    for name in np.unique(strata):
        own = left_out[strata == name]
        total += (len(own) - 1) / len(own) * ((own - own.mean()) ** 2).sum()
    return total


@pytest.mark.parametrize("d", [7, 60])
def test_jackknife_equals_the_loop_over_scikit_learns_score(d: int) -> None:
    x, y = sample(26, d, 20, 3)
    y[:5] = 1
    n = len(x)
    left_out = np.array([sklearn_score(np.delete(x, i, 0), np.delete(y, i)) for i in range(n)])
    found = axiom_aqi(x, y, None)
    for label in (0, 1):
        own = left_out[y == label]
        k = len(own)
        expected = np.sqrt(n * (n - 1) * (k - 1) / k) * (own.mean() - own)
        np.testing.assert_allclose(found.influence[y == label], expected, atol=1e-9)
    error = np.sqrt(stratified(left_out, y))
    assert found.aqi.standard_error == pytest.approx(error, abs=1e-9)


def test_of_a_difference_of_means_the_stratified_jackknife_is_the_textbooks() -> None:
    """s1^2/n1 + s0^2/n0, where deleting from both labels alike gives n/(n-1) too much of it."""
    rng = np.random.default_rng(0)
    safe, unsafe = rng.standard_normal(12), rng.standard_normal(16)
    left_out = [np.delete(safe, i).mean() - unsafe.mean() for i in range(12)]
    left_out += [safe.mean() - np.delete(unsafe, i).mean() for i in range(16)]
    found = stratified(np.array(left_out), np.repeat([1, 0], [12, 16]))
    assert found == pytest.approx(safe.var(ddof=1) / 12 + unsafe.var(ddof=1) / 16)


def test_jackknife_of_the_model_mean_equals_the_loop_over_all_prompts() -> None:
    parts = [sample(n, 4, 20, s) for s, n in enumerate((12, 14, 20))]
    x = np.concatenate([p[0] for p in parts])
    y = np.concatenate([p[1] for p in parts])
    axioms = np.repeat(["a", "b", "c"], [12, 14, 20])
    order = np.random.default_rng(0).permutation(46)
    x, y, axioms = x[order], y[order], axioms[order]

    def mean_of(rows: np.ndarray) -> float:
        each = [rows[axioms[rows] == a] for a in "abc"]
        return float(np.mean([loop_score(x[r], y[r]) for r in each]))

    everything = np.arange(46)
    found = model_aqi(x, y, list(axioms), None)
    assert found.aqi.estimate == pytest.approx(mean_of(everything), abs=1e-10)
    left_out = np.array([mean_of(np.delete(everything, i)) for i in everything])
    strata = np.array([f"{a}{v}" for a, v in zip(axioms, y, strict=True)])
    error = np.sqrt(stratified(left_out, strata))
    assert found.aqi.standard_error == pytest.approx(error, abs=1e-9)
    apart = np.sqrt(sum(a.aqi.standard_error**2 for a in found.axioms)) / 3
    assert found.aqi.standard_error == pytest.approx(apart, abs=1e-12)
    assert [a.axiom for a in found.axioms] == ["a", "b", "c"]


def test_pooling_axioms_of_different_directions_gives_little() -> None:
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 70)
    axioms = np.repeat(list("abcdefg"), 20)
    shift = np.zeros((140, 14))
    for i in range(140):
        shift[i, ord(axioms[i]) - 97] = 8.0 * y[i]
    found = model_aqi(rng.standard_normal((140, 14)) + shift, y, list(axioms), None)
    assert found.aqi.estimate > 40
    assert found.pooled.estimate < found.aqi.estimate / 3


def test_expectation_does_not_move_with_n() -> None:
    means = [
        np.mean(
            [axiom_aqi(*sample(n, 32, 20, 1000 * n + s), None).aqi.estimate for s in range(600)]
        )
        for n in (28, 60, 200)
    ]
    assert max(means) - min(means) < 0.3
    assert means[0] == pytest.approx(20, abs=0.3)


def test_a_bad_axiom_is_named() -> None:
    x, y = sample(12, 3, 20, 0)
    labels = np.where(np.arange(12) < 6, 1, y)
    with pytest.raises(InputError, match="'b'"):
        model_aqi(x, labels, ["b"] * 6 + ["a"] * 6, None)
    with pytest.raises(InputError, match="axioms"):
        model_aqi(x, y, ["a"], None)


def test_a_category_without_a_score_is_absent_and_moves_nothing_else() -> None:
    x, y = sample(36, 3, 20, 0)
    names = ["a"] * 12 + ["b"] * 12 + ["c"] * 12
    labels = np.where(np.arange(36) < 24, y, 1)
    found = model_aqi(x, labels, names, None, skip=True)
    whole = model_aqi(x[:24], y[:24], names[:24], None)
    assert [a.axiom for a in found.axioms] == ["a", "b"] and set(found.absent) == {"c"}
    assert "'c'" in found.absent["c"] and whole.absent == {}
    assert found.aqi.estimate == whole.aqi.estimate
    assert found.aqi.standard_error == pytest.approx(whole.aqi.standard_error)
    assert not found.influence[24:].any()
    with pytest.raises(InputError):
        model_aqi(x, np.ones(36), names, None, skip=True)


def test_clusters_of_one_are_refused() -> None:
    x, y = sample(12, 3, 20, 0)
    with pytest.raises(InputError, match="clusters"):
        axiom_aqi(x, y, ["one"] * 12)


def test_the_floor_is_where_the_centroids_coincide() -> None:
    """Twenty points in two pairs of mirror images: no distance between the labels at all."""
    half = np.random.default_rng(0).normal(size=(5, 3))
    one = np.concatenate([half, -half])
    states = np.concatenate([one, 2 * one])
    found = axiom_aqi(states, [1] * 10 + [0] * 10, None)
    assert found.aqi.estimate == pytest.approx(lowest_aqi(20)) == pytest.approx(-100 / 19)
    assert at_floor(found.aqi, 20)
    apart = axiom_aqi(states + np.repeat([[3.0], [-3.0]], 10, axis=0), [1] * 10 + [0] * 10, None)
    assert apart.aqi.low > 0 and not at_floor(apart.aqi, 20)
    assert at_floor(Interval(2.0, -5.3, 9.3, 3.0), 20)  # the interval, not the level
    assert not at_floor(Interval(-4.0, -4.9, -3.1, 0.4), 20)
