"""Do resamples keep clusters and strata whole, and is the error of a mean right?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.stats.bootstrap import (
    Resampling,
    percentile_interval,
    recentred,
    resample_weights,
)
from mahals.records import InputError
from tests.support.scored_states import AXIOMS, CLUSTERS


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


def test_the_error_of_a_mean_is_that_of_the_jackknife() -> None:
    x = np.random.default_rng(3).standard_normal(60)
    draws = resample_weights(60, None, None, Resampling(4000, 0)) @ x / 60
    found = percentile_interval(recentred(draws, x.mean()), float(x.mean()))
    assert found.standard_error == pytest.approx(x.std() / np.sqrt(60), rel=0.05)
    half = 1.96 * x.std() / np.sqrt(60)
    assert (found.low, found.high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.02)


BAD = {
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
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case: str) -> None:
    call, said = BAD[case]
    with pytest.raises(InputError, match=said):
        call()
