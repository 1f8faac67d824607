"""Turn of the weights: at which step of a training does it come?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats, finite
from mahals.records import InputError


@dataclass(frozen=True)
class Turning:
    """c_k(t) at the steps t where both differences exist, for one k."""

    k: int  # optimizer steps
    steps: npt.NDArray[np.int64]  # (m,)
    cosine: Floats  # (m,) +1 the weights go straight on, -1 they come back
    length: Floats  # (m,) the shorter of the two differences
    floor: float
    step: int | None  # where the cosine is lowest among differences above the floor
    why: str | None  # why there is no such step


def turning(weights: Mapping[int, npt.ArrayLike], k: int, floor: float) -> Turning:
    """c_k(t) = cos(w_t - w_{t-k}, w_{t+k} - w_t) and the step where it is lowest (METHOD 7).

    `weights` (d,) by optimizer step. `floor`: a difference counts when it is at least this share
    of the longest difference over k steps: two tiny steps point anywhere. After "Model Organisms
    for Emergent Misalignment" (Turner et al. 2025), where the turn is read off a rank-1 adapter.
    Raises InputError for k < 1, a floor outside [0, 1) or weights that are not finite.
    """
    if k < 1 or not 0 <= floor < 1:
        raise InputError(
            "transition", expected="k >= 1 and a floor in [0, 1)", got=f"{k}, {floor}", cure="fix"
        )
    steps = [t for t in sorted(weights) if t - k in weights and t + k in weights]
    if not steps:
        none = np.empty(0)
        return Turning(k, np.empty(0, dtype=np.int64), none, none, floor, None, "too few steps")
    before, after = _differences(weights, steps, k)
    lengths = np.stack([np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1)])
    shorter = lengths.min(axis=0)
    product = np.maximum(lengths.prod(axis=0), np.finfo(float).tiny)
    cosine = np.clip((before * after).sum(axis=1) / product, -1.0, 1.0)
    counted = (shorter > 0) & (shorter >= floor * lengths.max())
    at = int(np.flatnonzero(counted)[cosine[counted].argmin()]) if counted.any() else None
    return Turning(
        k,
        np.array(steps, dtype=np.int64),
        cosine,
        shorter,
        floor,
        None if at is None else steps[at],
        "no difference above the floor" if at is None else None,
    )


def _differences(
    weights: Mapping[int, npt.ArrayLike], steps: list[int], k: int
) -> tuple[Floats, Floats]:
    """w_t - w_{t-k} and w_{t+k} - w_t, (m, d) each."""
    found = {t: finite(w, "weights", 1) for t, w in weights.items()}
    before = np.stack([found[t] - found[t - k] for t in steps])
    after = np.stack([found[t + k] - found[t] for t in steps])
    return before, after
