"""Bootstrap: how often is each prompt drawn, and what interval do a statistic's draws give?

Resamples are weights (count, n): a statistic of all of them is a product of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import LEVEL, Floats, Interval, finite
from mahals.records import InputError


@dataclass(frozen=True)
class Resampling:
    """How many resamples, and from which seed."""

    count: int
    seed: int


def resample_weights(
    n: int, clusters: Sequence[str] | None, strata: Sequence[str] | None, how: Resampling
) -> Floats:
    """How often each of n prompts is in each resample, (count, n).

    Whole clusters are drawn with replacement, as many as there are; `clusters` None makes each
    prompt its own. With `strata` (n,) they are drawn within each stratum, so that its number of
    clusters stays. Raises InputError for fewer than 2 clusters or resamples, names that are not
    one per prompt, and a cluster in two strata.
    """
    names = _codes(clusters, n, "clusters") if clusters is not None else np.arange(n)
    layers = _codes(strata, n, "strata") if strata is not None else np.zeros(n, dtype=np.int64)
    units = int(names.max(initial=-1)) + 1
    if units < 2 or how.count < 2:
        raise InputError(
            "bootstrap",
            expected="at least 2 prompts or clusters, and 2 resamples",
            got=f"{units} and {how.count}",
            cure="measure more prompts, or prompts of more clusters",
        )
    home = np.zeros(units, dtype=np.int64)
    home[names] = layers
    if (home[names] != layers).any():
        raise InputError(
            "strata",
            expected="each cluster in one stratum",
            got="a cluster in two",
            cure="resample clusters without strata",
        )
    rng = np.random.default_rng(how.seed)
    times = np.empty((how.count, units))
    for layer in np.unique(home):
        own = np.flatnonzero(home == layer)
        times[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), how.count)
    return times[:, names]


def _codes(names: Sequence[str], n: int, what: str) -> npt.NDArray[np.int64]:
    if len(names) != n:
        raise InputError(
            what,
            expected=f"one name for each of {n} prompts",
            got=f"{len(names)}",
            cure=f"give the {what} in the order of the prompts",
        )
    codes = np.unique(np.asarray(names, dtype=np.str_), return_inverse=True)[1]
    return np.asarray(codes, dtype=np.int64)


def recentred(draws: npt.ArrayLike, estimate: npt.ArrayLike) -> Floats:
    """`draws` (count, ...) moved so that their mean is `estimate` (...).

    What resampling itself adds (a duplicated prompt is no new one) is a shift, and goes.
    """
    values = np.asarray(draws, dtype=np.float64)
    return np.asarray(values - values.mean(axis=0) + np.asarray(estimate, dtype=np.float64))


def percentile_interval(draws: npt.ArrayLike, estimate: float) -> Interval:
    """95 % interval between the percentiles of `draws` (count,) of a statistic.

    For AQI itself take the jackknife: before they are recentred its draws miss the truth, and
    after it they are still too wide near 0. Raises InputError for fewer than 2 draws, and nan.
    """
    values = finite(draws, "draws", 1)
    if len(values) < 2:
        raise InputError(
            "draws", expected="at least 2", got=str(len(values)), cure="take more resamples"
        )
    low, high = np.quantile(values, [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return Interval(float(estimate), float(low), float(high), float(values.std(ddof=1)))
