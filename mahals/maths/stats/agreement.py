"""Agreement: do two agents refuse the same prompts, beyond what their rates alone would give?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats, Interval, jackknife_interval
from mahals.records import InputError


@dataclass(frozen=True)
class Kappa:
    """Cohen's kappa of two agents; 1 is full agreement, 0 what their rates alone give."""

    kappa: float | None  # None: undefined, `reason` says why
    interval: Interval | None  # jackknife, 95 %; None where a delete-one kappa is undefined
    observed: float  # share of prompts on which they do the same
    n: int
    reason: str | None


def kappa(first: npt.ArrayLike, second: npt.ArrayLike, clusters: Sequence[str] | None) -> Kappa:
    """Cohen's kappa (Cohen 1960) of two yes-or-no answers (n,) to the same prompts.

    (observed - expected) / (1 - expected), expected from the two rates. Absent where an agent
    never varies: with one such agent it is 0 whatever the other does, with two 0 or 0/0, and says
    nothing. The interval is absent where leaving out one prompt makes it so. Raises InputError
    for n < 2, unequal n, or values other than 0 and 1.
    """
    a, b = _answers(first), _answers(second)
    if len(a) != len(b):
        raise _refuse("the same prompts for both agents", f"{len(a)} and {len(b)} answers")
    counts = np.bincount(2 * a + b, minlength=4).astype(np.float64)  # no no, no yes, yes no, yes
    observed, n = float((a == b).mean()), len(a)
    still = [name for name, x in (("first", a), ("second", b)) if x.min() == x.max()]
    if still:
        who = "neither agent varies" if len(still) == 2 else f"the {still[0]} agent never varies"
        return Kappa(None, None, observed, n, f"{who}: kappa says nothing")
    estimate = _kappa(counts[None])[0]
    if min(_margins(counts)) < 2:
        why = "one prompt alone makes an agent vary: no jackknife interval"
        return Kappa(float(estimate), None, observed, n, why)
    left = np.zeros(4)
    cells = np.flatnonzero(counts)
    left[cells] = _kappa(counts - np.eye(4)[cells])
    each = left[2 * a + b]
    influence = (n - 1) * (each.mean() - each)
    found = jackknife_interval(influence, float(estimate), clusters)
    return Kappa(float(estimate), found, observed, n, None)


def _kappa(counts: Floats) -> Floats:
    """Kappa (m,) of m tables of counts (m, 4), ordered as in `kappa`."""
    p = counts / counts.sum(axis=1, keepdims=True)
    yes_a, yes_b = p[:, 2] + p[:, 3], p[:, 1] + p[:, 3]
    expected = yes_a * yes_b + (1 - yes_a) * (1 - yes_b)
    return np.asarray((p[:, 0] + p[:, 3] - expected) / (1 - expected))


def _margins(counts: Floats) -> tuple[float, ...]:
    """How often each agent says no and yes."""
    no, only_b, only_a, both = (float(c) for c in counts)
    return no + only_b, only_a + both, no + only_a, only_b + both


def _answers(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    x = np.asarray(values)
    if x.ndim != 1 or len(x) < 2:
        raise _refuse("one answer each to two prompts or more", f"shape {x.shape}")
    if not np.isin(x, (0, 1)).all():
        raise _refuse("answers that are 0 or 1", str(sorted(set(x.tolist()))[:5]))
    return x.astype(np.int64)


def _refuse(expected: str, got: str) -> InputError:
    return InputError("agreement", expected=expected, got=got, cure="give one answer per prompt")
