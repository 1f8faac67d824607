"""Pair states: are those of the two sides fit to be compared, and how are their directions?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats
from mahals.records import InputError

Vectors = npt.NDArray[np.float32]


def pair_states(a: npt.ArrayLike, b: npt.ArrayLike, least: int) -> tuple[Floats, Floats]:
    """Both sides (n, L, d) as float64.

    Raises InputError for other shapes, n < `least`, nan, and states that no text changes.
    """
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != 3 or x.shape != y.shape or 0 in x.shape or len(x) < least:
        raise InputError(
            "states of pairs",
            expected=f"two arrays (n, blocks, width) of one shape, n >= {least}",
            got=f"{x.shape} and {y.shape}",
            cure="read both sides on the same texts, and on enough of them",
        )
    bad = int((~np.isfinite(x)).sum() + (~np.isfinite(y)).sum())
    if bad:
        raise InputError(
            "states of pairs",
            expected="finite numbers",
            got=f"{bad} that are nan or infinite",
            cure="look for an overflow where they were read (float16?)",
        )
    _check_vary(x)
    _check_vary(y)
    return x, y


def _check_vary(states: Floats) -> None:
    reach = np.abs(states).max(axis=(0, 2))
    same = np.ptp(states, axis=0).max(axis=1) <= 1e-9 * reach
    if bool(same.any()):
        raise InputError(
            "states of pairs",
            expected="states that differ from text to text",
            got=f"the same for all {len(states)} texts at block {int(same.argmax())}",
            cure="check that the texts differ and that their last token sees the others",
        )


def cosines(a: Floats, b: Floats) -> Floats:
    """Cosine over the last axis. Raises InputError for a vector of length 0."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    if float(lengths.min()) <= 0.0:
        raise InputError(
            "cosine",
            expected="vectors longer than 0",
            got="one of length 0",
            cure="use more samples, and texts whose states differ",
        )
    return np.asarray((a * b).sum(axis=-1) / lengths)
