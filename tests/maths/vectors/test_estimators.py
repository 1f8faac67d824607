"""Is each vector the direction its method names, with the right sign, norm and reliability?"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.metrics.pairwise import cosine_similarity

from mahals.maths.vectors.estimators import (
    NEWTON_WIDTH,
    contrast,
    mean_difference,
    pca,
    probe,
    svd_k,
)
from mahals.records import InputError
from tests.support.paired_states import D, L, N, states


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


def test_pairs_without_a_direction_are_refused() -> None:
    a, b = states(6)
    for method in (mean_difference, probe):
        with pytest.raises(InputError, match="no difference at block 0"):
            method(a, a)
    with pytest.raises(InputError, match="at least 1"):
        svd_k(a, b, 0, True)
    with pytest.raises(InputError, match="n >= 10"):
        svd_k(a[:9], b[:9], 3, True)
    with pytest.raises(InputError, match="rank"):
        svd_k(b + np.linspace(1, 2, N)[:, None, None], b, 3, True)
