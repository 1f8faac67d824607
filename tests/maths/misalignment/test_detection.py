"""Are directions, separations and AUROC those by hand and by scikit-learn?"""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mahals.maths.misalignment.detection import (
    auroc,
    separation,
    shuffled_directions,
    two_halves,
    unit_direction,
)
from mahals.records import InputError


def test_the_published_separation_is_the_length_of_the_mean_difference() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(10, 64)) + 0.3, rng.normal(size=(10, 64))
    u = unit_direction("difference_in_means", a, b)
    found = separation(a @ u, b @ u, [str(i) for i in range(10)])
    assert found.estimate == pytest.approx(np.linalg.norm(a.mean(0) - b.mean(0)))


def test_held_out_separation_of_noise_is_nil_and_in_sample_is_not() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(80, 64)), rng.normal(size=(80, 64))
    names = [str(i) for i in range(40)]
    u = unit_direction("difference_in_means", a[:40], b[:40])
    assert separation(a[:40] @ u, b[:40] @ u, names).low > 0
    held = separation(a[40:] @ u, b[40:] @ u, names)
    assert held.low < 0 < held.high


@pytest.mark.parametrize("method", ["difference_in_means", "linear_probe"])
def test_a_planted_direction_is_found(method: str) -> None:
    rng = np.random.default_rng(3)
    v = np.eye(16)[3]
    a, b = rng.normal(size=(200, 16)) + 4 * v, rng.normal(size=(200, 16))
    assert unit_direction(method, a, b) @ v > 0.9
    with pytest.raises(InputError, match="differ"):
        unit_direction(method, a, a)


@pytest.mark.parametrize("method", ["difference_in_means", "linear_probe"])
def test_shuffled_directions_hold_nothing_of_what_the_models_differ_in(method: str) -> None:
    """A shift of 20 times the noise, which an unbalanced exchange leaves in: by hand."""
    rng = np.random.default_rng(5)
    v = np.eye(24)[3]
    a, b = (rng.normal(size=(40, 2, 24)) for _ in range(2))
    a = a + 20 * v
    kinds = ["near"] * 16 + ["far"] * 24
    found = shuffled_directions(method, (a, b), kinds, 12, 0)
    assert found.shape == (12, 2, 24)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1.0)
    assert np.abs(found @ v).max() < 0.7 and np.abs(found @ v).mean() < 0.3  # by chance .16
    signs = rng.choice([-1.0, 1.0], size=(12, 40))
    loose = np.einsum("kn,nld->kld", signs, a - b)
    loose /= np.linalg.norm(loose, axis=-1, keepdims=True)
    assert np.abs(loose @ v).mean() > 0.7
    again = shuffled_directions(method, (a, b), kinds, 12, 0)
    np.testing.assert_array_equal(found, again)
    assert not np.allclose(found, shuffled_directions(method, (a, b), kinds, 12, 1))


def test_shuffled_directions_that_cannot_be_made_are_refused() -> None:
    a = np.random.default_rng(6).normal(size=(8, 2, 4))
    for draws, kinds in ((0, ["x"] * 8), (1, ["x"] * 7)):
        with pytest.raises(InputError, match="shuffled directions"):
            shuffled_directions("difference_in_means", (a + 1, a), kinds, draws, 0)
    with pytest.raises(InputError, match="length 0"):
        shuffled_directions("difference_in_means", (a + 1, a), ["x"] * 8, 1, 0)


def test_auroc_is_that_of_sklearn_and_its_interval_covers() -> None:
    rng = np.random.default_rng(4)
    a, b = np.round(rng.normal(size=60) + 1, 1), np.round(rng.normal(size=60), 1)
    names = [str(i) for i in range(60)]
    found = auroc(a, b, names)
    expected = roc_auc_score([1] * 60 + [0] * 60, np.concatenate([a, b]))
    assert found.estimate == pytest.approx(expected)
    truth, hits = 0.7602, 0  # P(N(1, 1) > N(0, 1)) = Phi(1 / sqrt 2)
    for _ in range(200):
        x, y = rng.normal(size=60) + 1, rng.normal(size=60)
        one = auroc(x, y, names)
        hits += one.low <= truth <= one.high
    assert 180 <= hits <= 199


def test_halves_share_no_cluster() -> None:
    names = [f"c{i // 3}" for i in range(30)]
    fitted = two_halves(names)
    assert fitted.sum() == 15
    assert not {n for n, f in zip(names, fitted, strict=True) if f} & {
        n for n, f in zip(names, fitted, strict=True) if not f
    }
