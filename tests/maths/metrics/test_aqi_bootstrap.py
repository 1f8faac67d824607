"""Does the bootstrap by products of matrices equal a plain loop over resamples?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.metrics.aqi import axiom_aqi
from mahals.maths.metrics.aqi_bootstrap import axiom_draws, resampled_omega2
from mahals.maths.metrics.permutation import Permutations, null_omega2, permuted_labels
from mahals.maths.stats.bootstrap import (
    Resampling,
    percentile_interval,
    recentred,
    resample_weights,
)
from mahals.records import InputError
from tests.support.scored_states import AXIOMS, CLUSTERS, LABELS, sklearn_score


@pytest.mark.parametrize("d", [5, 24, 60])  # sums; the Gram matrix where d >= n
@pytest.mark.parametrize("clusters", [None, CLUSTERS])
def test_the_products_equal_the_loop(d: int, clusters: list[str] | None) -> None:
    x = np.random.default_rng(d).standard_normal((24, d)) + LABELS[:, None] + 100
    strata = None if clusters else [str(v) for v in LABELS]
    weights = resample_weights(24, clusters, strata, Resampling(40, 7))
    by_loop = []
    for row in weights.astype(int):
        taken = np.repeat(np.arange(24), row)
        by_loop.append(sklearn_score(x[taken], LABELS[taken]))
    np.testing.assert_allclose(resampled_omega2(x, LABELS, weights), by_loop, rtol=0, atol=1e-9)


def test_draws_of_axioms_equal_the_loop_and_are_recentred() -> None:
    x = np.random.default_rng(0).standard_normal((24, 40)) + LABELS[:, None]
    draws = axiom_draws(x, LABELS, AXIOMS, CLUSTERS, Resampling(30, 1))
    weights = resample_weights(24, CLUSTERS, AXIOMS, Resampling(30, 1)).astype(int)
    for column, own in ((0, np.arange(12)), (1, np.arange(12, 24))):
        loop = []
        for row in weights:
            taken = np.repeat(own, row[own])
            loop.append(sklearn_score(x[taken], LABELS[taken]))
        estimate = sklearn_score(x[own], LABELS[own])
        expected = np.array(loop) - np.mean(loop) + estimate
        np.testing.assert_allclose(draws[:, column], expected, rtol=0, atol=1e-9)
        assert np.mean(loop) > estimate + 2, "duplicates raise the score in every resample"


def test_what_the_design_fixes_stays_in_every_resample() -> None:
    """Prompts of an axiom's label where clusters hold one label, else of the axiom."""
    x = np.random.default_rng(0).standard_normal((24, 3))
    single = [f"{a}{v}{i // 4}" for i, (a, v) in enumerate(zip(AXIOMS, LABELS, strict=True))]
    for clusters, strata in ((None, "label"), (single, "label"), (CLUSTERS, "axiom")):
        given = clusters or [str(i) for i in range(24)]
        cells = [f"{a}|{v}" for a, v in zip(AXIOMS, LABELS.tolist(), strict=True)]
        weights = resample_weights(
            24, given, cells if strata == "label" else AXIOMS, Resampling(20, 5)
        )
        expected = resampled_omega2(x[:12], LABELS[:12], weights[:, :12])
        estimate = resampled_omega2(x[:12], LABELS[:12], np.ones((1, 12)))
        found = axiom_draws(x, LABELS, AXIOMS, clusters, Resampling(20, 5))[:, 0]
        np.testing.assert_allclose(found, expected - expected.mean() + estimate, rtol=0, atol=1e-9)


@pytest.mark.parametrize("d", [128])
def test_recentring_is_what_makes_the_bootstrap_hold_at_all(d: int) -> None:
    raw = moved = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        y = np.arange(60) % 2
        x = rng.standard_normal((60, d))
        weights = resample_weights(60, None, [str(v) for v in y], Resampling(200, seed))
        draws = resampled_omega2(x, y, weights)
        estimate = sklearn_score(x, y)
        first = percentile_interval(draws, estimate)
        second = percentile_interval(recentred(draws, estimate), estimate)
        raw += first.low <= 0 <= first.high
        moved += second.low <= 0 <= second.high
    assert raw == 0 and moved >= 37


X = np.random.default_rng(1).standard_normal((24, 4))
ONES = np.ones((2, 24))
BAD_STATES = {
    "one label": (lambda: resampled_omega2(X, np.ones(24), ONES), "2 prompts of each label"),
    "nan": (lambda: resampled_omega2(X * np.nan, LABELS, ONES), "finite"),
    "constant": (lambda: resampled_omega2(X * 0, LABELS, ONES), "differ"),
    "n = 1": (lambda: resampled_omega2(X[:1], LABELS[:1], ONES[:, :1]), "n >= 2"),
    "weights": (lambda: resampled_omega2(X, LABELS, ONES[:, 1:]), "weights"),
    "no safe one": (lambda: resampled_omega2(X, LABELS, ONES * (1 - LABELS)), "every resample"),
    "one state": (
        lambda: resampled_omega2(np.arange(24)[:, None] // 4, LABELS, ONES * (np.arange(24) < 4)),
        "one state only",
    ),
    "axioms short": (
        lambda: axiom_draws(X, LABELS, AXIOMS[1:], None, Resampling(9, 0)),
        "axioms",
    ),
}


@pytest.mark.parametrize("case", BAD_STATES)
def test_states_that_cannot_be_resampled_are_refused(case: str) -> None:
    call, said = BAD_STATES[case]
    with pytest.raises(InputError, match=said):
        call()


@pytest.mark.parametrize("d", [7, 200])  # 200 > n: through the Gram matrix
@pytest.mark.parametrize("far", [0.0, 1e4])  # states far from the origin: centred first
def test_every_resampling_equals_the_loop(d, far):
    rng = np.random.default_rng(d)
    y = np.arange(60) % 2
    x = rng.normal(size=(60, d)) + 0.3 * y[:, None] + far
    chance, how = Permutations(20, 3), Resampling(20, 4)
    close = {"rtol": 0, "atol": 1e-9}
    near = x - x.mean(axis=0)  # scikit-learn's own sums lose digits far from the origin
    by_loop = [sklearn_score(near, drawn) for drawn in permuted_labels(y, None, chance)]
    np.testing.assert_allclose(null_omega2(x, y, None, chance), by_loop, **close)
    weights = resample_weights(60, None, None, how)
    rows = [np.repeat(np.arange(60), w.astype(int)) for w in weights]
    by_loop = [sklearn_score(near[r], y[r]) for r in rows]
    np.testing.assert_allclose(resampled_omega2(x, y, weights), by_loop, **close)
    keep = np.arange(60)
    without = np.array([sklearn_score(near[keep != i], y[keep != i]) for i in keep])
    expected = np.empty(60)
    for side in (0, 1):  # the stratified jackknife's influence, as documented
        k = int((y == side).sum())
        own = without[y == side]
        expected[y == side] = np.sqrt(60 * 59 * (k - 1) / k) * (own.mean() - own)
    np.testing.assert_allclose(
        axiom_aqi(x, y, None).influence, expected, rtol=0, atol=60 * close["atol"]
    )
