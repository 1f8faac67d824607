"""Placement: what is added at each steered block, when a vector holds all earlier differences?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats
from mahals.records import InputError


def increments(values: npt.ArrayLike, blocks: Sequence[int]) -> dict[int, Floats]:
    """What to add at each steered block so that the sum after the last is its vector, once.

    `values` (L, d); the first (lowest) block gets v_l, each later one v_l minus the vector of the
    steered block before it (v_{l-1} for neighbours). Raises InputError for a block outside
    [0, L), a block named twice, or none.
    """
    v = np.asarray(values, dtype=np.float64)
    ordered = sorted(blocks)
    if not ordered or len(set(ordered)) < len(ordered) or ordered[0] < 0 or ordered[-1] >= len(v):
        raise InputError(
            "steered blocks",
            expected=f"different block numbers from 0 to {len(v) - 1}",
            got=f"{list(blocks)}",
            cure="a vector belongs to one architecture: check its number of blocks",
        )
    found = {ordered[0]: v[ordered[0]].copy()}
    for before, block in itertools.pairwise(ordered):
        found[block] = np.asarray(v[block] - v[before])
    return found
