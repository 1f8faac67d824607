"""Do random and shuffled directions have the vector's norm and nothing else?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.vectors.estimators import contrast, mean_difference, pca, probe, svd_k
from mahals.maths.vectors.random_directions import likeness, random_like, shuffled_pairs
from mahals.records import InputError
from tests.support.paired_states import D, L, N, states


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


def test_controls_that_cannot_be_drawn_are_refused() -> None:
    a, b = states(6)
    for draws, sides in ((0, (a, b)), (1, (a[:1], b[:1]))):
        with pytest.raises(InputError):
            shuffled_pairs(mean_difference(a, b), *sides, draws, 0)
    with pytest.raises(InputError, match="shuffled pairs"):
        shuffled_pairs(mean_difference(b + 1, b), b + 1, b, 1, 0)
    with pytest.raises(InputError, match="longer than 0"):
        random_like(np.zeros(4), 2, 0)
