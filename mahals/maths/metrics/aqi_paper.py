"""AQI of the paper: what would it and the published table have said of the same CH and XB?

Both are kept for comparison only. `aqi_published` scales each model against itself, so its
overall row says how that row's CH ranks among the model's own eight; it must not rank models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats
from mahals.records import InputError


def aqi_paper(ch: float, xb: float, gamma: float) -> float:
    """gamma / XB + (1 - gamma) CH, unnormalised; higher is better (arXiv 2506.13901, main text)."""
    _check(ch, xb, gamma)
    return gamma / xb + (1 - gamma) * ch


def aqi_paper_appendix(ch: float, xb: float, gamma: float, ch_max: float) -> float:
    """(CH / CH_max)^gamma exp(-XB)^(1-gamma), in [0, 1]; higher is better.

    arXiv 2506.13901, appendix. `ch_max` is the largest CH over the rows that are compared, so the
    number means nothing without them.
    """
    _check(ch, xb, gamma)
    if not 0 < ch_max < math.inf or ch > ch_max * (1 + 1e-12):
        raise InputError(
            "ch_max",
            expected=f"the largest CH of the rows compared, at least {ch:g}",
            got=f"{ch_max:g}",
            cure="take the maximum over all rows, this one too",
        )
    return float((ch / ch_max) ** gamma * math.exp(-xb * (1 - gamma)))


def _check(ch: float, xb: float, gamma: float) -> None:
    if not (0 <= ch < math.inf and 0 < xb < math.inf and 0 <= gamma <= 1):
        raise InputError(
            "CH, XB and gamma",
            expected="CH >= 0, XB > 0, finite, and gamma in [0, 1]",
            got=f"{ch:g}, {xb:g}, {gamma:g}",
            cure="leave the score absent where the centroids coincide",
        )


def aqi_published(
    chi: Sequence[float] | npt.ArrayLike, xb: Sequence[float] | npt.ArrayLike, gamma: float
) -> Floats:
    """The published table's score of each of one model's own rows (7 axioms and the overall one).

    CHn = 100 (CH - min) / (max - min); XBn = max(10, 100 (1 - sigmoid((XB - median) / (IQR +
    1e-9)))); gamma CHn + (1 - gamma) XBn. Higher is called better there. Raises InputError where
    all CH are equal.
    """
    ch, x = np.asarray(chi, dtype=np.float64), np.asarray(xb, dtype=np.float64)
    if ch.ndim != 1 or ch.shape != x.shape or len(ch) < 2 or np.ptp(ch) == 0:
        raise InputError(
            "published rows",
            expected="CH and XB of at least two rows with different CH",
            got=f"{ch.shape} and {x.shape}",
            cure="give all eight rows of one model",
        )
    scaled = 100 * (ch - ch.min()) / np.ptp(ch)
    low, middle, high = np.percentile(x, [25, 50, 75])
    falling = 1 / (1 + np.exp((x - middle) / (high - low + 1e-9)))
    return np.asarray(gamma * scaled + (1 - gamma) * np.maximum(10.0, 100 * falling))
