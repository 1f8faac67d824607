"""Is each vector the direction its method names, with the right sign, norm and reliability?"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.metrics.pairwise import cosine_similarity

from mahals.maths.vectors.controls import likeness, random_like, shuffled_pairs
from mahals.maths.vectors.estimators import (
    NEWTON_WIDTH,
    contrast,
    mean_difference,
    pca,
    probe,
    svd_k,
)
from mahals.maths.vectors.placement import increments
from mahals.records import InputError

N, L, D = 24, 3, 10


def states(seed: int, shift: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((N, L, D))
    spread = np.linspace(2.0, 0.3, D)
    return base + shift * np.eye(D)[4] + rng.standard_normal((N, L, D)) * spread, base


def test_mean_difference_and_contrast_are_differences_of_means() -> None:
    a, b = states(0)
    found = mean_difference(a, b)
    np.testing.assert_allclose(found.values, a.mean(0) - b.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.norms, np.linalg.norm(a.mean(0) - b.mean(0), axis=1))
    by_row = [[cosine_similarity(a[i, [k]], b[i, [k]])[0, 0] for k in range(L)] for i in range(N)]
    np.testing.assert_allclose(found.cosine, np.mean(by_row, axis=0))
    assert (found.values.dtype, found.values.shape, found.explained_variance) == (
        np.float32,
        (L, D),
        None,
    )
    np.testing.assert_array_equal(contrast(a, b).values, found.values)
    assert contrast(a, b).method == "contrast"


def test_split_half_tells_signal_from_noise() -> None:
    strong, weak = mean_difference(*states(1, shift=8.0)), mean_difference(*states(1, shift=0.0))
    assert strong.split_half.min() > 0.9
    assert np.abs(weak.split_half).max() < 0.9
    a, b = states(1)
    even, odd = (a - b)[::2].mean(0), (a - b)[1::2].mean(0)
    expected = np.diag(cosine_similarity(even, odd))
    np.testing.assert_allclose(mean_difference(a, b).split_half, expected)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("k", [1, 3])
def test_svd_k_is_scikit_learns(k: int, centered: bool) -> None:
    a, b = states(2)
    found = svd_k(a, b, k, centered)
    for block in range(L):
        x = (a - b)[:, block]
        if centered:
            fit = PCA(n_components=D, svd_solver="full").fit(x)
            axis, share = fit.components_[k - 1], fit.explained_variance_ratio_[k - 1]
        else:
            axis = TruncatedSVD(n_components=k, algorithm="arpack").fit(x).components_[k - 1]
            share = ((x @ axis) ** 2).sum() / (x**2).sum()
        mean = x.mean(0)
        cosine = cosine_similarity(found.values[[block]], axis[None])[0, 0]
        assert abs(cosine) == pytest.approx(1.0, abs=1e-6)
        assert float(found.values[block] @ mean) >= 0
        assert found.norms[block] == pytest.approx(np.linalg.norm(mean))
        assert found.explained_variance is not None
        assert found.explained_variance[block] == pytest.approx(share)


def test_published_centred_variant_says_how_far_it_is_from_the_mean_shift() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((2, N, L, 400))
    a[:, :, 7] += 30.0
    angle = svd_k(a, b, 3, True).metadata["cosine_to_mean"]
    assert isinstance(angle, list)
    assert max(angle) < 0.2  # nearly orthogonal: the shift was taken out
    straight = svd_k(a, b, 1, False).metadata["cosine_to_mean"]
    assert isinstance(straight, list)
    assert min(straight) > 0.99


def test_pca_is_the_first_component_of_pair_differences() -> None:
    a, b = states(4)
    found = pca(a, b)
    axis = PCA(n_components=1).fit((a - b)[:, 1]).components_
    assert abs(cosine_similarity(found.values[[1]], axis)[0, 0]) == pytest.approx(1.0, abs=1e-6)
    assert found.method == "pca"


def test_random_directions_have_the_norm_and_nothing_else() -> None:
    v = np.arange(1.0, 129.0)
    found = random_like(v, 400, 7)
    assert found.shape == (400, 128)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(v))
    cosines = found @ v / (v @ v)
    assert abs(cosines.mean()) < 3 / np.sqrt(400 * 128)
    assert cosines.std() == pytest.approx(1 / np.sqrt(128), rel=0.15)
    np.testing.assert_array_equal(found, random_like(v, 400, 7))
    assert not np.allclose(found, random_like(v, 400, 8))


def test_probe_is_the_minimum_of_the_penalised_loss() -> None:
    """By another optimizer, on standardized states; mapped back, signed and scaled by the mean."""
    a, b = states(8, shift=1.0)
    found = probe(a, b)
    side = np.repeat([1.0, -1.0], N)
    for block in range(L):
        x = np.concatenate([a[:, block], b[:, block]])
        z = (x - x.mean(0)) / x.std(0)

        def loss(w: np.ndarray, z: np.ndarray = z) -> float:
            fit = np.logaddexp(0, -side * (z @ w[:-1] + w[-1])).sum()
            return float(fit + w[:-1] @ w[:-1] / 2)

        best = minimize(loss, np.zeros(D + 1), tol=1e-9).x[:-1] / x.std(0)
        mean = (a - b)[:, block].mean(0)
        np.testing.assert_allclose(
            found.values[block], best / np.linalg.norm(best) * np.linalg.norm(mean), rtol=2e-2,
            atol=2e-3 * float(np.linalg.norm(mean)),
        )  # fmt: skip
        turned = found.metadata["cosine_to_mean"]
        assert isinstance(turned, list)
        assert turned[block] == pytest.approx(cosine_similarity([best], [mean])[0, 0], abs=2e-3)
    flipped = probe(b, a)
    np.testing.assert_allclose(flipped.values, -found.values, rtol=1e-2, atol=1e-2)


def test_probe_weighs_by_what_varies_little_and_ignores_what_never_does() -> None:
    """Planted: of two dimensions that move alike the quiet one tells more; one is constant."""
    rng = np.random.default_rng(9)
    a, b = rng.standard_normal((2, 200, 1, 3)) * (1.0, 8.0, 0.0)
    a[:, 0, :2] += 1.0
    vector = probe(a, b).values[0]
    assert abs(vector[1]) < 0.2 * vector[0] and vector[2] == 0
    assert contrast(a, b).values[0, 1] > 0.3


def test_a_wide_probe_is_found_another_way_and_is_the_same() -> None:
    """Dimensions without any variance change nothing but the solver."""
    a, b = states(13, shift=1.0)
    wide = [np.concatenate([x, np.zeros((N, L, NEWTON_WIDTH))], axis=2) for x in (a, b)]
    found = probe(*wide).values
    np.testing.assert_allclose(found[:, :D], probe(a, b).values, rtol=2e-2, atol=5e-3)
    assert not found[:, D:].any()


def test_state_norms_are_those_of_the_states_it_starts_from() -> None:
    a, b = states(10)
    expected = [np.mean([np.linalg.norm(b[i, k]) for i in range(N)]) for k in range(L)]
    for found in (mean_difference(a, b), probe(a, b), svd_k(a, b, 1, True)):
        np.testing.assert_allclose(found.state_norms, expected)


def test_the_sign_of_a_singular_vector_is_that_of_the_mean_shift() -> None:
    """Whatever sign the decomposition gives: swapping the sides turns the vector round."""
    for seed in range(6):
        a, b = states(seed)
        for k, centered in ((1, False), (3, True)):
            there, back = svd_k(a, b, k, centered), svd_k(b, a, k, centered)
            assert ((there.values * (a - b).mean(0)).sum(1) >= 0).all()
            np.testing.assert_allclose(there.values, -back.values, atol=1e-5)


def test_shuffled_pairs_keep_the_norm_and_lose_the_direction() -> None:
    a, b = states(5, shift=8.0)
    for found in (mean_difference(a, b), svd_k(a, b, 2, True), pca(a, b)):
        drawn = shuffled_pairs(found, a, b, 200, 3)
        assert (drawn.shape, drawn.dtype) == ((200, L, D), np.float32)
        lengths = np.linalg.norm(drawn, axis=2)
        np.testing.assert_allclose(lengths, np.broadcast_to(found.norms, (200, L)), rtol=1e-5)
        true = (a - b).mean(0)
        mean = (drawn * true).sum(2).mean(0) / np.linalg.norm(true, axis=1) ** 2
        assert np.abs(mean).max() < 0.1
        np.testing.assert_array_equal(drawn, shuffled_pairs(found, a, b, 200, 3))
        assert not np.allclose(drawn, shuffled_pairs(found, a, b, 200, 4))


def test_what_all_pairs_or_neighbours_share_is_not_in_a_shuffled_direction() -> None:
    """By hand: a shift of every pair, and one of the first half of them, both 100 times the noise.

    Pairing the sides anew instead leaves the mean difference as it was: that is no control.
    """
    rng = np.random.default_rng(11)
    a, b = rng.standard_normal((2, N, L, D))
    a[:, :, 0] += 100.0
    a[: N // 2, :, 1] += 100.0
    found = mean_difference(a, b)
    share = (shuffled_pairs(found, a, b, 50, 0) / found.norms[:, None]) ** 2
    assert share[:, :, :2].sum(axis=2).mean() < 2 * 2 / D  # of 1; by chance 2 / D
    again = rng.permutation(N)
    np.testing.assert_allclose(mean_difference(a, b[again]).values, found.values, atol=1e-4)


def test_a_shuffled_probe_is_a_probe_of_swapped_sides() -> None:
    a, b = states(12, shift=3.0)
    found = probe(a, b)
    drawn = shuffled_pairs(found, a, b, 20, 0)
    np.testing.assert_allclose(
        np.linalg.norm(drawn, axis=2), np.broadcast_to(found.norms, (20, L)), rtol=1e-5
    )
    assert likeness(found.values[None], found).min() == pytest.approx(1.0)
    assert likeness(drawn, found).max() < 0.7
    mixed = shuffled_pairs(contrast(a, b), a, b, 20, 0)
    assert np.abs(likeness(drawn, found) - likeness(mixed, found)).min() > 1e-3


def test_increments_sum_to_the_last_vector() -> None:
    v = np.random.default_rng(0).standard_normal((6, 4))
    found = increments(v, (2, 3, 4))
    np.testing.assert_allclose(found[2], v[2])
    np.testing.assert_allclose(found[3], v[3] - v[2])
    np.testing.assert_allclose(sum(found.values()), v[4])
    apart = increments(v, [5, 1])
    np.testing.assert_allclose(sum(apart.values()), v[5])
    np.testing.assert_allclose(increments(v, [3])[3], v[3])


def test_bad_input_is_refused() -> None:
    a, b = states(6)
    with pytest.raises(InputError, match="n >= 2"):
        mean_difference(a[:1], b[:1])
    with pytest.raises(InputError, match="one shape"):
        mean_difference(a, b[:, :2])
    with pytest.raises(InputError, match="nan"):
        mean_difference(np.where(a > 2, np.nan, a), b)
    with pytest.raises(InputError, match="no difference at block 0"):
        mean_difference(a, a)
    with pytest.raises(InputError, match="at least 1"):
        svd_k(a, b, 0, True)
    with pytest.raises(InputError, match="n >= 10"):
        svd_k(a[:9], b[:9], 3, True)
    with pytest.raises(InputError, match="rank"):
        svd_k(b + np.linspace(1, 2, N)[:, None, None], b, 3, True)
    still = np.ones((N, L, D))
    for method in (mean_difference, contrast, pca, probe):
        with pytest.raises(InputError, match="the same for all 24 texts at block 0"):
            method(a, still)
        with pytest.raises(InputError, match="n >= "):
            method(a[:1], b[:1])
        with pytest.raises(InputError, match="nan"):
            method(a, np.where(b > 2, np.inf, b))
    with pytest.raises(InputError, match="no difference at block 0"):
        probe(a, a)
    for draws, sides in ((0, (a, b)), (1, (a[:1], b[:1]))):
        with pytest.raises(InputError):
            shuffled_pairs(mean_difference(a, b), *sides, draws, 0)
    with pytest.raises(InputError, match="shuffled pairs"):
        shuffled_pairs(mean_difference(b + 1, b), b + 1, b, 1, 0)
    with pytest.raises(InputError, match="longer than 0"):
        random_like(np.zeros(4), 2, 0)
    for blocks in ([], [3], [-1], [1, 1]):
        with pytest.raises(InputError, match="block numbers from 0 to 2"):
            increments(np.ones((3, 2)), blocks)
