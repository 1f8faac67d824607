"""Homophily: how alike are agents in what they keep apart, and which is weakest on each axiom?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats, Interval
from mahals.records import InputError

LEVEL = 0.95


@dataclass(frozen=True)
class Homophily:
    """Likeness of K agents, always beside the weakest link: equal and equally bad is no aim."""

    value: float  # [0, 1]; 1 is the same AQI on every axiom, 0 as far apart as K agents can be
    weakest_agent: tuple[int, ...]  # per axiom, the row of the agent with the lowest AQI
    weakest_value: tuple[float, ...]  # per axiom, that agent's signed AQI


def homophily(aqi: npt.ArrayLike) -> Homophily:
    """1 - mean over pairs of ||a_i - a_j||_1 / (100 A c_K), of K agents on A axioms.

    `aqi` is (K, A), in points; for the likeness it is cut to [0, 100], the weakest values are
    not. c_K = floor(K/2) ceil(K/2) / C(K, 2) makes the value span [0, 1] for every K (METHOD 1).
    Raises InputError for fewer than two agents or values that are not finite.
    """
    a = np.asarray(aqi, dtype=np.float64)
    if a.ndim != 2 or a.shape[0] < 2 or a.shape[1] < 1 or not np.isfinite(a).all():
        raise InputError(
            "homophily",
            expected="the finite AQI of at least two agents on every axiom",
            got=f"shape {a.shape}, {int((~np.isfinite(a)).sum())} not finite",
            cure="measure more models; leave an agent without AQI out",
        )
    weakest = a.argmin(axis=0)
    return Homophily(
        value=float(1 - apart(np.clip(a, 0.0, 100.0))),
        weakest_agent=tuple(int(i) for i in weakest),
        weakest_value=tuple(float(v) for v in a.min(axis=0)),
    )


def apart(a: Floats) -> Floats:
    """(...): mean distance of two agents, of (..., K, A) points, over the largest there can be."""
    agents, axioms = a.shape[-2:]
    first, second = np.triu_indices(agents, 1)
    mean = np.abs(a[..., first, :] - a[..., second, :]).sum(axis=-1).mean(axis=-1)
    largest = 100 * axioms * (agents // 2) * ((agents + 1) // 2) / len(first)
    return np.asarray(mean / largest)


def same_verdicts(refused: Floats) -> Floats:
    """(...): how alike K agents answer, of verdicts (..., K, m), 1 refused and 0 not.

    1 - mean over pairs of the share of requests with which two do not do the same, over the largest
    there can be (c_K, as in `homophily`): 1 is the same verdicts, 0 as far apart as K agents can
    be. It exists where nobody refuses anything, as Cohen's kappa does not, and is 1 there: read it
    beside what is refused at all.
    """
    return np.asarray(1 - apart(100 * refused))


@dataclass(frozen=True)
class HomophilyIntervals:
    """At least 95 % each, whether agents are alike or far apart."""

    value: Interval
    weakest: tuple[Interval, ...]  # per axiom, of the lowest AQI among the agents


def homophily_intervals(aqi: npt.ArrayLike, draws: npt.ArrayLike) -> HomophilyIntervals:
    """Intervals of homophily and of the weakest link, from recentred bootstrap draws.

    `aqi` is (K, A) and `draws` (count, K, A) of the same resamples for all agents
    (`axiom_draws`). Where agents are alike neither statistic is smooth: both are then biased, and
    the percentiles of their draws hold the truth down to 0 % of the time. But a minimum moves by no
    more than the agent that moves most, and distances are a seminorm: |T(a + e) - T(a)| <= T(e).
    So half an interval is the 95 % quantile of the largest deviation, and of the distance between
    deviations e = draw - aqi. Raises InputError as `homophily`, and for draws of another shape.
    """
    found = homophily(aqi)
    a, drawn = np.asarray(aqi, dtype=np.float64), np.asarray(draws, dtype=np.float64)
    if drawn.shape[1:] != a.shape or len(drawn) < 2 or not np.isfinite(drawn).all():
        raise InputError(
            "draws",
            expected=f"finite, of shape (resamples, {', '.join(map(str, a.shape))})",
            got=f"{drawn.shape}, {int((~np.isfinite(drawn)).sum())} not finite",
            cure="stack the axiom_draws of all agents, made with one Resampling",
        )
    moved = drawn - a
    largest = np.abs(moved).max(axis=1)
    return HomophilyIntervals(
        value=_around(found.value, apart(moved), 0.0, 1.0),
        weakest=tuple(
            _around(v, largest[:, j], -np.inf, 100.0) for j, v in enumerate(found.weakest_value)
        ),
    )


def _around(estimate: float, deviations: Floats, lowest: float, highest: float) -> Interval:
    """`estimate` +- the 95 % quantile of `deviations`, cut to what the statistic can be."""
    half = float(np.quantile(deviations, LEVEL))
    error = float(np.sqrt((deviations**2).mean()))
    low, high = max(lowest, estimate - half), min(highest, estimate + half)
    return Interval(estimate, low, high, error)
