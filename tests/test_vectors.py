"""Is each vector the direction its method names, with the right sign, norm and reliability?"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.metrics.pairwise import cosine_similarity

from mahals.records import InputError
from mahals.vectors import (
    contrast,
    increments,
    mean_difference,
    pca,
    random_like,
    shuffled_difference,
    svd_k,
)

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


def test_shuffled_pairs_keep_the_norm_and_lose_the_direction() -> None:
    a, b = states(5, shift=8.0)
    true = (a - b).mean(0)
    drawn = np.stack([shuffled_difference(a, b, s) for s in range(200)])
    lengths = np.linalg.norm(drawn, axis=2)
    np.testing.assert_allclose(lengths, np.linalg.norm(true, axis=1)[None].repeat(200, axis=0))
    mean = (drawn * true).sum(2).mean(0) / np.linalg.norm(true, axis=1) ** 2
    assert np.abs(mean).max() < 0.2


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
    with pytest.raises(InputError, match="longer than 0"):
        random_like(np.zeros(4), 2, 0)
    for blocks in ([], [3], [-1], [1, 1]):
        with pytest.raises(InputError, match="block numbers from 0 to 2"):
            increments(np.ones((3, 2)), blocks)
