"""Do random and shuffled directions have the vector's norm and nothing else?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.vectors.estimators import contrast, mean_difference, pca, probe, svd_k
from mahals.maths.vectors.random_directions import (
    balanced_signs,
    likeness,
    random_like,
    shuffled_pairs,
)
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


KINDS = ["a"] * 10 + [None] * 8 + ["b"] * 6  # of N pairs


def test_exactly_half_of_each_category_changes_sides() -> None:
    for seed in range(20):
        signs = balanced_signs(KINDS, np.random.default_rng(seed))
        assert set(signs) == {1.0, -1.0}
        for kind in set(KINDS):
            assert sum(s for s, k in zip(signs, KINDS, strict=True) if k == kind) == 0
    odd = [str(i // 3) for i in range(15)]  # five categories of three
    for seed in range(20):
        signs = balanced_signs(odd, np.random.default_rng(seed)).reshape(5, 3)
        assert set(signs.sum(axis=1)) == {1.0, -1.0} and abs(signs.sum()) == 1.0
    drawn = [balanced_signs(KINDS, np.random.default_rng(s)) for s in range(200)]
    assert np.abs(np.mean(drawn, axis=0)).max() < 0.3, "every pair is as likely to change as not"


def test_of_a_strong_shift_an_unbalanced_shuffle_refuses_and_a_balanced_one_keeps_nothing() -> None:
    """A model that refuses where steering moves its state by half the real vector or more.

    All directions have the real one's norm, as equal doses do. With each pair's side drawn alone a
    remainder of the shift is scaled up to that norm; where exactly half change sides, nothing is.
    """
    rng = np.random.default_rng(7)
    width = 100  # where directions of noise have cosines near 0
    base, noise = rng.standard_normal((2, N, L, width))
    sides = base + 50.0 * np.eye(width)[2] + noise, base
    found = mean_difference(*sides)
    unit = found.values / found.norms[:, None]

    def refused(drawn: np.ndarray) -> np.ndarray:
        return (drawn * unit).sum(axis=-1) >= found.norms / 2

    assert refused(found.values[None]).all()
    balanced = shuffled_pairs(found, sides, KINDS, 60, 0)
    assert not refused(balanced).any() and likeness(balanced, found).max() < 0.2
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(60, N))
    loose = np.einsum("kn,nld->kld", signs, sides[0] - sides[1])
    loose *= found.norms[:, None] / np.linalg.norm(loose, axis=-1, keepdims=True)
    assert refused(loose).mean() > 0.25 and likeness(loose, found).min() > 0.7


def test_shuffled_pairs_keep_the_norm_and_lose_the_direction() -> None:
    sides = states(5, shift=8.0)
    for found in (mean_difference(*sides), svd_k(*sides, 2, True), pca(*sides)):
        drawn = shuffled_pairs(found, sides, KINDS, 200, 3)
        assert (drawn.shape, drawn.dtype) == ((200, L, D), np.float32)
        lengths = np.linalg.norm(drawn, axis=2)
        np.testing.assert_allclose(lengths, np.broadcast_to(found.norms, (200, L)), rtol=1e-5)
        true = (sides[0] - sides[1]).mean(0)
        mean = (drawn * true).sum(2).mean(0) / np.linalg.norm(true, axis=1) ** 2
        assert np.abs(mean).max() < 0.1
        np.testing.assert_array_equal(drawn, shuffled_pairs(found, sides, KINDS, 200, 3))
        assert not np.allclose(drawn, shuffled_pairs(found, sides, KINDS, 200, 4))


def test_what_all_pairs_or_a_category_share_is_not_in_a_shuffled_direction() -> None:
    """By hand: a shift of every pair and one of the first category alone, 100 times the noise.

    Without categories the second stays in. Pairing the sides anew instead leaves the mean
    difference as it was: that is no control.
    """
    rng = np.random.default_rng(11)
    a, b = rng.standard_normal((2, N, L, D))
    a[:, :, 0] += 100.0
    a[:10, :, 1] += 100.0
    found = mean_difference(a, b)

    def share(kinds: list[str | None]) -> np.ndarray:
        return (shuffled_pairs(found, (a, b), kinds, 50, 0) / found.norms[:, None]) ** 2

    assert share(KINDS)[:, :, :2].sum(axis=2).mean() < 2 * 2 / D  # of 1; by chance 2 / D
    assert share([None] * N)[:, :, 0].mean() < 2 / D < 0.5 < share([None] * N)[:, :, 1].mean()
    again = rng.permutation(N)
    np.testing.assert_allclose(mean_difference(a, b[again]).values, found.values, atol=1e-4)


def test_a_shuffled_probe_is_a_probe_of_swapped_sides() -> None:
    sides = states(12, shift=3.0)
    found = probe(*sides)
    drawn = shuffled_pairs(found, sides, KINDS, 20, 0)
    np.testing.assert_allclose(
        np.linalg.norm(drawn, axis=2), np.broadcast_to(found.norms, (20, L)), rtol=1e-5
    )
    assert likeness(found.values[None], found).min() == pytest.approx(1.0)
    assert likeness(drawn, found).max() < 0.7
    mixed = shuffled_pairs(contrast(*sides), sides, KINDS, 20, 0)
    assert np.abs(likeness(drawn, found) - likeness(mixed, found)).min() > 1e-3


def test_controls_that_cannot_be_drawn_are_refused() -> None:
    a, b = states(6)
    found = mean_difference(a, b)
    for draws, sides, kinds in ((0, (a, b), KINDS), (1, (a[:1], b[:1]), ["a"])):
        with pytest.raises(InputError):
            shuffled_pairs(found, sides, kinds, draws, 0)
    with pytest.raises(InputError, match="the category of each of 24 pairs"):
        shuffled_pairs(found, (a, b), ["a"], 1, 0)
    with pytest.raises(InputError, match="length 0"):
        shuffled_pairs(mean_difference(b + 1, b), (b + 1, b), KINDS, 1, 0)
    with pytest.raises(InputError, match="longer than 0"):
        random_like(np.zeros(4), 2, 0)
