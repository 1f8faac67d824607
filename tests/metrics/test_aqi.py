"""Is AQI what its formulas say, and does its interval hold the truth as often as it claims?"""

from __future__ import annotations

import csv
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.metrics import calinski_harabasz_score

from mahals.maths.metrics.aqi import axiom_aqi, model_aqi
from mahals.maths.metrics.aqi_paper import aqi_paper_appendix, aqi_published
from mahals.maths.metrics.permutation import Permutations, null_omega2, omega2, permuted_labels
from mahals.maths.metrics.spaces import fit_space, to_space
from mahals.records import InputError
from tests.support.places import ROOT

PUBLISHED = ROOT / "benchmarks" / "published" / "phase1_aqi_rows.csv"


def sample(n: int, d: int, aqi: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Normal states whose population AQI is `aqi`: 100 (D/4) / (D/4 + d), D = delta^2."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    delta = 2 * np.sqrt(d * aqi / (100 - aqi))
    shift = np.zeros(d)
    shift[0] = delta
    return rng.standard_normal((n, d)) + labels[:, None] * shift, labels


def loop_score(x: np.ndarray, y: np.ndarray) -> float:
    """The score from scatter sums, term by term, without the module's closed form."""
    n = len(x)
    total = ((x - x.mean(0)) ** 2).sum()
    within = sum(((x[y == c] - x[y == c].mean(0)) ** 2).sum() for c in (0, 1))
    mean_within = within / (n - 2)
    return float(100 * ((total - within) - mean_within) / (total + mean_within))


def sklearn_score(x: np.ndarray, y: np.ndarray) -> float:
    """The score from scikit-learn's Calinski-Harabasz index alone."""
    n, ch = len(x), calinski_harabasz_score(x, y)
    eta2 = ch / (ch + n - 2)
    return float(100 * ((n - 1) * eta2 - 1) / (n - 1 - eta2))


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


def test_mean_under_shuffled_labels_is_zero_and_p_is_uniform() -> None:
    x, y = sample(40, 16, 0, 0)
    null = null_omega2(x, y, None, Permutations(20_000, 0))
    assert abs(null.mean()) < 0.03
    p = [axiom_aqi(*sample(30, 8, 0, s), None, Permutations(99, s)).p_value for s in range(300)]
    assert 0.02 <= np.mean([q <= 0.05 for q in p if q is not None]) <= 0.09
    assert np.mean([q for q in p if q is not None]) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("d", [5, 60])  # sums, and the Gram matrix
@pytest.mark.parametrize("clustered", [False, True])
def test_permutation_null_equals_the_loop_over_scikit_learns_score(d: int, clustered: bool) -> None:
    x, y = sample(20, d, 20, d)
    clusters = [f"c{i // 2}" for i in range(20)] if clustered else None
    chance = Permutations(25, 1)
    drawn = permuted_labels(y, clusters, chance)
    by_loop = [sklearn_score(x, labels.astype(int)) for labels in drawn]
    np.testing.assert_allclose(null_omega2(x, y, clusters, chance), by_loop, atol=1e-9)
    assert (drawn.sum(axis=1) == y.sum()).all()


def test_clusters_stay_together_when_labels_are_shuffled() -> None:
    clusters = ["a", "b", "a", "b", "c", "c"]
    drawn = permuted_labels([1, 0, 1, 0, 0, 0], clusters, Permutations(200, 0))
    pairs = drawn[:, [[0, 2], [1, 3], [4, 5]]]
    assert (pairs[..., 0] == pairs[..., 1]).all()
    assert set(map(tuple, pairs[..., 0])) == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}


def test_clustered_noise_is_not_taken_for_separation() -> None:
    free, kept = [], []
    for s in range(150):
        rng = np.random.default_rng(s)
        clusters = [f"c{i // 4}" for i in range(40)]
        x = np.repeat(rng.standard_normal((10, 4)), 4, axis=0) + 0.3 * rng.standard_normal((40, 4))
        y = np.repeat(rng.permutation([1, 0] * 5), 4)
        free.append(axiom_aqi(x, y, None, Permutations(99, s)).p_value)
        kept.append(axiom_aqi(x, y, clusters, Permutations(99, s)).p_value)
    assert np.mean(np.array(free) <= 0.05) > 0.2
    assert np.mean(np.array(kept) <= 0.05) < 0.1


def test_expectation_does_not_move_with_n() -> None:
    means = [
        np.mean(
            [axiom_aqi(*sample(n, 32, 20, 1000 * n + s), None).aqi.estimate for s in range(600)]
        )
        for n in (28, 60, 200)
    ]
    assert max(means) - min(means) < 0.3
    assert means[0] == pytest.approx(20, abs=0.3)


@pytest.mark.parametrize("d", [8, 32, 128, 1024])
@pytest.mark.parametrize("aqi", [0, 2, 20, 36])
def test_expectation_stays_for_every_width_and_level(d: int, aqi: float) -> None:
    """40,000 data sets an n, each drawn as the two numbers that the score is made of.

    Of isotropic normals with equal counts, delta^2 n / 4 is noncentral chi-square with d degrees
    and W central with d (n - 2).
    """
    rng, means = np.random.default_rng([d, int(aqi)]), []
    shift2 = 4 * d * aqi / (100 - aqi)
    for n in (28, 60, 120, 200):
        between = rng.noncentral_chisquare(d, shift2 * n / 4, 40_000)
        within = rng.chisquare(d * (n - 2), 40_000)
        means.append(omega2(between / (between + within), n).mean())
    assert max(means) - min(means) < 0.3
    assert means == pytest.approx([aqi] * 4, abs=0.3)


def published_rows() -> dict[str, list[dict[str, str]]]:
    models: dict[str, list[dict[str, str]]] = {}
    with PUBLISHED.open() as file:
        for row in csv.DictReader(file):
            models.setdefault(row["model"], []).append(row)
    return models


def test_published_table_is_reproduced_row_by_row() -> None:
    models = published_rows()
    assert sum(len(rows) for rows in models.values()) == 48
    for rows in models.values():
        chi, xb = ([float(r[c]) for r in rows] for c in ("chi", "xb"))
        given_aqi = [float(r["aqi"]) for r in rows]
        np.testing.assert_allclose(aqi_published(chi, xb, 0.5), given_aqi, atol=0.02)


def test_with_n_matched_every_published_model_scores_five() -> None:
    for rows in published_rows().values():
        n = np.array([float(r["n"]) for r in rows])
        chi = np.array([float(r["chi"]) for r in rows]) * (400 - 2) / (n - 2)
        xb = [float(r["xb"]) for r in rows]
        assert aqi_published(chi, xb, 0.5)[-1] == pytest.approx(5.0, abs=0.005)


def test_appendix_form_by_hand() -> None:
    assert aqi_paper_appendix(50, 2.0, 0.5, 200) == pytest.approx(0.5 * np.exp(-1.0))
    with pytest.raises(InputError, match="ch_max"):
        aqi_paper_appendix(50, 2.0, 0.5, 40)


def test_omega2_at_its_ends() -> None:
    assert omega2(1.0, 30) == pytest.approx(100)
    assert omega2(1 / 29, 30) == pytest.approx(0, abs=1e-9)


def test_spaces() -> None:
    x, y = sample(60, 10, 20, 0)
    x[:, 3] *= 1e4  # a massive activation decides the native space
    x[:, 4] = 7.0
    scaled = to_space(x, "standardized")
    kept = [i for i in range(10) if i != 4]
    np.testing.assert_allclose(scaled[:, kept].std(0), 1)
    assert (scaled[:, 4] == 0).all()
    assert to_space(x, "native") is not None
    low = to_space(x, "pca256")
    assert low.shape == (60, 9)
    np.testing.assert_allclose(cdist(low, low), cdist(x, x), rtol=1e-6, atol=1e-6)
    assert axiom_aqi(low, y, None).aqi.estimate == pytest.approx(
        axiom_aqi(x, y, None).aqi.estimate, abs=1e-6
    )
    fitted = fit_space(x[:30], "standardized")
    np.testing.assert_allclose(fitted.apply(x[:30]).mean(0), 0, atol=1e-9)
    with pytest.raises(InputError, match="did you mean 'native'"):
        to_space(x, "nativ")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"\(n, 10\)"):
        fitted.apply(x[:, :3])


X, Y = sample(12, 3, 20, 0)
BAD = {
    "one prompt": (X[:1], Y[:1]),
    "one label": (X, np.ones(12, int)),
    "one unsafe prompt": (X, np.array([0] + [1] * 11)),
    "constant": (np.full((12, 3), 0.1), Y),
    "constant per label": (np.repeat(Y[:, None], 3, axis=1) * 1.0, Y),
    "nan": (np.where(np.arange(36).reshape(12, 3) == 5, np.nan, X), Y),
    "infinite": (np.where(np.arange(36).reshape(12, 3) == 5, np.inf, X), Y),
    "other labels": (X, Y + 1),
    "labels of another length": (X, Y[:-1]),
    "no prompt": (X[:0], Y[:0]),
    "all but one equal": (np.eye(12, 3) * [1, 0, 0] + 0.1, Y),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(case: str) -> None:
    x, y = BAD[case]
    with pytest.raises(InputError, match="expected"):
        axiom_aqi(x, y, None)


def test_a_bad_axiom_is_named() -> None:
    labels = np.where(np.arange(12) < 6, 1, Y)
    with pytest.raises(InputError, match="'b'"):
        model_aqi(X, labels, ["b"] * 6 + ["a"] * 6, None)
    with pytest.raises(InputError, match="axioms"):
        model_aqi(X, Y, ["a"], None)
    with pytest.raises(InputError, match="clusters"):
        axiom_aqi(X, Y, ["one"] * 12)


def test_a_thousand_permutations_of_seven_axioms_take_well_under_a_second() -> None:
    x, y = sample(560, 128, 2, 0)
    axioms = [f"axiom {i // 80}" for i in range(560)]
    model_aqi(x, y, axioms, None, Permutations(10, 0))
    start = time.process_time()
    found = model_aqi(x, y, axioms, None, Permutations(1000, 0))
    assert time.process_time() - start < 0.7
    assert found.p_value == pytest.approx(1 / 1001)
    assert all(a.p_value is not None for a in found.axioms)
