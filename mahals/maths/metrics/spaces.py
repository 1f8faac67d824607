"""Spaces: are states compared as they are, standardized, or by their main directions?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats
from mahals.records import InputError, unknown

Space = Literal["native", "standardized", "pca256"]
COMPONENTS = 256


@dataclass(frozen=True)
class FittedSpace:
    """A linear change of space, fitted on some states and applied to any of the same width."""

    space: Space
    mean: Floats  # (d,)
    scale: Floats | None  # (d,) factor of each dimension; None outside `standardized`
    components: Floats | None  # (d, k) orthonormal columns; None outside `pca256`

    def apply(self, states: npt.ArrayLike) -> Floats:
        """`states` (n, d) in this space, (n, k)."""
        x = np.asarray(states, dtype=np.float64)
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise InputError(
                "states",
                expected=f"shape (n, {len(self.mean)})",
                got=f"{x.shape}",
                cure="apply a space to states of the layer and model it was fitted on",
            )
        if self.scale is not None:
            return np.asarray((x - self.mean) * self.scale)
        if self.components is not None:
            return np.asarray((x - self.mean) @ self.components)
        return x


def fit_space(states: npt.ArrayLike, space: Space) -> FittedSpace:
    """The space `space` fitted on `states` (n, d), all axioms pooled.

    `native` leaves them; `standardized` is the z-score per dimension (constant dimensions
    become 0: they carry nothing); `pca256` the first 256 principal components, fewer where the
    rank is lower. Raises InputError for an unknown space, nan, n < 2 and constant states.
    """
    x = np.asarray(states, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise InputError(
            "states",
            expected="shape (n, d), n >= 2, finite",
            got=f"shape {x.shape}, {int((~np.isfinite(x)).sum())} not finite",
            cure="check the prompts and the layer",
        )
    mean = x.mean(axis=0)
    if space == "native":
        return FittedSpace(space, mean, None, None)
    if space == "standardized":
        return FittedSpace(space, mean, _standardizing(x), None)
    if space == "pca256":
        _, values, rows = np.linalg.svd(x - mean, full_matrices=False)
        rank = int((values > values[0] * 1e-12).sum()) if values[0] > 0 else 0
        if rank == 0:
            raise _constant(len(x))
        return FittedSpace(space, mean, None, np.asarray(rows[: min(COMPONENTS, rank)].T))
    raise unknown("space", str(space), ("native", "standardized", "pca256"))


def to_space(states: npt.ArrayLike, space: Space) -> Floats:
    """`states` (n, d) in a space fitted on themselves, (n, k). Raises as `fit_space` does."""
    return fit_space(states, space).apply(states)


def _standardizing(x: Floats) -> Floats:
    deviation = x.std(axis=0)
    kept = deviation > 1e-7 * np.abs(x).max(axis=0)
    if not kept.any():
        raise _constant(len(x))
    return np.asarray(np.where(kept, 1 / np.where(kept, deviation, 1.0), 0.0))


def _constant(n: int) -> InputError:
    return InputError(
        "states",
        expected="states that differ between prompts",
        got=f"{n} equal rows",
        cure="check the prompts, the position and the layer",
    )
