"""Are directions, separations and AUROC those by hand and by scikit-learn?"""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mahals.maths.misalignment.detection import auroc, separation, two_halves, unit_direction
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
