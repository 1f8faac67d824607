"""Is the permutation null that of a loop, and is AQI 0 in the mean under shuffled labels?"""

from __future__ import annotations

import time

import numpy as np
import pytest

from mahals.maths.metrics.aqi import axiom_aqi, model_aqi
from mahals.maths.metrics.permutation import Permutations, null_omega2, omega2, permuted_labels
from tests.support.scored_states import sample, sklearn_score


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


def test_omega2_at_its_ends() -> None:
    assert omega2(1.0, 30) == pytest.approx(100)
    assert omega2(1 / 29, 30) == pytest.approx(0, abs=1e-9)


def test_a_thousand_permutations_of_seven_axioms_take_well_under_a_second() -> None:
    x, y = sample(560, 128, 2, 0)
    axioms = [f"axiom {i // 80}" for i in range(560)]
    model_aqi(x, y, axioms, None, Permutations(10, 0))
    start = time.process_time()
    found = model_aqi(x, y, axioms, None, Permutations(1000, 0))
    assert time.process_time() - start < 0.7
    assert found.p_value == pytest.approx(1 / 1001)
    assert all(a.p_value is not None for a in found.axioms)
