"""How alike are agents in what they keep apart, and which is the weakest on each axiom?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.records import InputError


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
    agents = len(a)
    cut = np.clip(a, 0.0, 100.0)
    first, second = np.triu_indices(agents, 1)
    apart = np.abs(cut[first] - cut[second]).sum(axis=1).mean()
    largest = 100 * a.shape[1] * (agents // 2) * ((agents + 1) // 2) / len(first)
    weakest = a.argmin(axis=0)
    return Homophily(
        value=float(1 - apart / largest),
        weakest_agent=tuple(int(i) for i in weakest),
        weakest_value=tuple(float(v) for v in a.min(axis=0)),
    )
