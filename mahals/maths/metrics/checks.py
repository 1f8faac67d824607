"""Input checks: can these states and labels be scored at all?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats
from mahals.records import InputError


def checked_states(states: npt.ArrayLike, labels: Sequence[int] | npt.ArrayLike) -> Floats:
    """`states` (n, d) as float64, centred, with at least 2 prompts of each label.

    Raises InputError for n = 1, one label, labels other than 0 and 1, nan or infinite values,
    and states that are all the same.
    """
    x = np.asarray(states, dtype=np.float64)
    y = np.asarray(labels)
    if x.ndim != 2 or x.shape[0] < 2 or x.shape[1] < 1 or y.shape != (x.shape[0],):
        raise _refuse("(n, d) with n >= 2 and one label per row", f"{x.shape} and {y.shape}")
    if not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).any(axis=1).sum())
        raise _refuse("finite numbers", f"nan or infinity in {bad} of {len(x)} rows")
    if not np.isin(y, (0, 1)).all():
        raise _refuse("labels 0 (unsafe) and 1 (safe)", f"{sorted(set(y.tolist()))[:5]}")
    safe = int((y == 1).sum())
    if min(safe, len(y) - safe) < 2:
        raise _refuse("at least 2 prompts of each label", f"{safe} safe, {len(y) - safe} unsafe")
    centred = np.asarray(x - x.mean(axis=0))
    if float((centred**2).sum()) <= 1e-14 * float((x**2).sum()):
        raise _refuse("states that differ between prompts", f"{len(x)} equal rows")
    return centred


def _refuse(expected: str, got: str) -> InputError:
    return InputError(
        "states", expected=expected, got=got, cure="check the prompts, the position and the layer"
    )
