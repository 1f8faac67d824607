"""CKA: how alike do two models hold the same texts, whatever the bases and widths of states?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats
from mahals.records import InputError


def debiased_cka(x: npt.ArrayLike, y: npt.ArrayLike) -> float:
    """Linear CKA of states (n, d_x) and (n, d_y) of the same n texts; 1 is alike, about 0 unlike.

    HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y)) (Kornblith et al. 2019) with the unbiased HSIC (Song
    et al. 2012, eq. 5; Nguyen et al. 2021): states that share nothing score 0 on average, where
    the biased one nears 1 as d passes n; it may fall slightly below 0. Invariant to rotation,
    translation and scale of either side. Raises InputError for n < 4, unequal n, nan, and states
    whose own HSIC is not above 0 (all the same, or too few to tell).
    """
    a, b = _centred(x), _centred(y)
    if len(a) != len(b):
        raise _refuse("the same texts on both sides", f"{len(a)} and {len(b)} rows")
    own = unbiased_hsic(a, a), unbiased_hsic(b, b)
    if min(own) <= 0:
        raise _refuse("states that differ between texts", f"an HSIC with itself of {min(own):.3g}")
    return float(unbiased_hsic(a, b) / np.sqrt(own[0] * own[1]))


def unbiased_hsic(a: Floats, b: Floats) -> float:
    """The unbiased HSIC of linear kernels, from states (n, d_a) and (n, d_b), n >= 4.

    (tr(K L) + 1'K1 1'L1 / ((n-1)(n-2)) - 2/(n-2) 1'K L1) / (n (n-3)), where K and L are the Gram
    matrices with a zero diagonal. They are never formed: all three terms come from products of
    width d, in O(n d_a d_b).
    """
    n = len(a)
    size_a, size_b = (a**2).sum(axis=1), (b**2).sum(axis=1)
    rows_a, rows_b = a @ a.sum(axis=0) - size_a, b @ b.sum(axis=0) - size_b  # K1 and L1
    both = float(((a.T @ b) ** 2).sum() - (size_a * size_b).sum())  # tr(K L)
    apart = float(rows_a.sum() * rows_b.sum()) / ((n - 1) * (n - 2))
    return (both + apart - 2 / (n - 2) * float(rows_a @ rows_b)) / (n * (n - 3))


def _centred(states: npt.ArrayLike) -> Floats:
    """Centred and of unit mean square: HSIC only changes by a factor, and rounding stays small."""
    x = np.asarray(states, dtype=np.float64)
    if x.ndim != 2 or len(x) < 4 or x.shape[1] < 1:
        raise _refuse("(n, d) with n >= 4", f"shape {x.shape}")
    if not np.isfinite(x).all():
        raise _refuse("finite numbers", f"{int((~np.isfinite(x)).sum())} that are not")
    centred = x - x.mean(axis=0)
    spread = float(np.sqrt((centred**2).sum() / len(x)))
    if spread <= 1e-12 * float(np.sqrt((x**2).sum() / len(x))):
        raise _refuse("states that differ between texts", f"{len(x)} equal rows")
    return np.asarray(centred / spread)


def _refuse(expected: str, got: str) -> InputError:
    return InputError(
        "states to compare",
        expected=expected,
        got=got,
        cure="read both models on the same texts, four or more, in the same order",
    )
