"""Does the bootstrap by products of matrices equal a plain loop, and do its intervals hold?"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import calinski_harabasz_score

from mahals.maths.metrics.aqi_bootstrap import axiom_draws, resampled_omega2
from mahals.maths.metrics.homophily import homophily, homophily_intervals
from mahals.maths.stats.bootstrap import (
    Resampling,
    percentile_interval,
    recentred,
    resample_weights,
)
from mahals.records import InputError

LABELS = np.tile([0, 1], 12)
AXIOMS = ["a"] * 12 + ["b"] * 12
CLUSTERS = [f"c{i // 3}" for i in range(24)]


def sklearn_score(x: np.ndarray, y: np.ndarray) -> float:
    """100 omega^2 from scikit-learn's Calinski-Harabasz index alone."""
    n, ch = len(x), calinski_harabasz_score(x, y)
    eta2 = ch / (ch + n - 2)
    return float(100 * ((n - 1) * eta2 - 1) / (n - 1 - eta2))


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


def test_weights_draw_whole_clusters_and_keep_strata() -> None:
    weights = resample_weights(24, CLUSTERS, None, Resampling(500, 0))
    groups = weights.reshape(500, 8, 3)
    assert (groups == groups[..., :1]).all() and (groups[..., 0].sum(axis=1) == 8).all()
    assert weights.mean() == pytest.approx(1) and weights.var() == pytest.approx(7 / 8, abs=0.05)
    kept = resample_weights(24, None, AXIOMS, Resampling(50, 0))
    assert (kept[:, :12].sum(axis=1) == 12).all() and (kept[:, 12:].sum(axis=1) == 12).all()
    same = resample_weights(24, None, AXIOMS, Resampling(50, 0))
    assert (kept == same).all()
    assert (kept != resample_weights(24, None, AXIOMS, Resampling(50, 1))).any()


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


def test_the_error_of_a_mean_is_that_of_the_jackknife() -> None:
    x = np.random.default_rng(3).standard_normal(60)
    draws = resample_weights(60, None, None, Resampling(4000, 0)) @ x / 60
    found = percentile_interval(recentred(draws, x.mean()), float(x.mean()))
    assert found.standard_error == pytest.approx(x.std() / np.sqrt(60), rel=0.05)
    half = 1.96 * x.std() / np.sqrt(60)
    assert (found.low, found.high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.02)


@pytest.mark.parametrize("agents", [2, 6])
@pytest.mark.parametrize("step", [0.0, 2.0, 20.0])
def test_homophily_and_the_weakest_link_are_held_alike_or_apart(agents: int, step: float) -> None:
    """Where all agents are equal the percentiles of the draws hold homophily 0 % of the time."""
    rng = np.random.default_rng([agents, int(step)])
    truth = 15 + step / (agents - 1) * np.arange(agents)[:, None] * np.ones((1, 7))
    target, held, naive = homophily(truth), np.zeros(2), 0
    for repetition in range(150):
        seen = truth + 2 * rng.standard_normal((agents, 7))
        draws = seen + 2 * rng.standard_normal((300, agents, 7))
        found = homophily_intervals(seen, draws)
        low, high = found.value.low, found.value.high
        weakest = found.weakest[0]
        least = target.weakest_value[0]
        held += (low <= target.value <= high, weakest.low <= least <= weakest.high)
        if step == 0 and repetition < 20:
            values = [homophily(d).value for d in draws[:60]]
            naive += np.quantile(values, 0.025) <= target.value <= np.quantile(values, 0.975)
    assert held.min() / 150 >= 0.91
    if step == 0:
        assert naive == 0


def test_intervals_by_hand() -> None:
    aqi = np.array([[10.0], [30.0]])
    moves = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 4.0], [0.0, -4.0]])
    found = homophily_intervals(aqi, aqi + moves[:, :, None])
    assert found.value.estimate == pytest.approx(0.8)  # 1 - 20 / 100
    half = np.quantile([0.01, 0.01, 0.04, 0.04], 0.95)  # |e_1 - e_2| / 100
    assert (found.value.low, found.value.high) == pytest.approx((0.8 - half, 0.8 + half))
    (weakest,) = found.weakest
    assert (weakest.estimate, weakest.low, weakest.high) == pytest.approx((10, 6, 14))


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
BAD = {
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
    "one cluster": (lambda: resample_weights(3, ["a"] * 3, None, Resampling(9, 0)), "2 prompts"),
    "one resample": (lambda: resample_weights(3, None, None, Resampling(1, 0)), "2 resamples"),
    "no prompt": (lambda: resample_weights(0, None, None, Resampling(9, 0)), "2 prompts"),
    "clusters short": (lambda: resample_weights(3, ["a"], None, Resampling(9, 0)), "clusters"),
    "strata short": (lambda: resample_weights(3, None, ["a"], Resampling(9, 0)), "strata"),
    "split cluster": (
        lambda: resample_weights(4, ["x", "x", "y", "y"], ["a", "b", "a", "a"], Resampling(9, 0)),
        "one stratum",
    ),
    "one draw": (lambda: percentile_interval([1.0], 1.0), "draws"),
    "nan draw": (lambda: percentile_interval([1.0, np.nan], 1.0), "finite"),
    "draws of others": (lambda: homophily_intervals(np.ones((2, 7)), np.ones((9, 3, 7))), "draws"),
    "draws that are nan": (
        lambda: homophily_intervals(np.ones((2, 7)), np.full((9, 2, 7), np.nan)),
        "not finite",
    ),
    "axioms short": (
        lambda: axiom_draws(X, LABELS, AXIOMS[1:], None, Resampling(9, 0)),
        "axioms",
    ),
    "one agent": (lambda: homophily_intervals(np.ones((1, 7)), np.ones((9, 1, 7))), "two agents"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case: str) -> None:
    call, said = BAD[case]
    with pytest.raises(InputError, match=said):
        call()
