"""AQI bootstrap: what would the score be in other samples of the same kind of prompts?

The bootstrap serves statistics that are not smooth, such as a minimum over agents; the interval of
AQI itself is the jackknife's. A drawn prompt may come twice, which shrinks W and raises AQI in
every resample, so draws are recentred on the estimate before they are used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mahals.maths.metrics.checks import checked_states
from mahals.maths.metrics.permutation import omega2
from mahals.maths.stats.bootstrap import Resampling, recentred, resample_weights
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError


def resampled_omega2(states: npt.ArrayLike, labels: npt.ArrayLike, weights: Floats) -> Floats:
    """100 omega^2 (count,) of states (n, d), each prompt taken `weights` (count, n) times.

    With u = safe weights over their sum less unsafe weights over theirs, delta^2 = |u X|^2;
    through the Gram matrix where d >= n. Not recentred. Raises InputError as `axiom_aqi` does, for
    weights of another shape, and where a resample has no prompt of a label or one state only.
    """
    x, safe = checked_states(states, labels), np.asarray(labels) == 1
    if weights.ndim != 2 or weights.shape[1] != len(x) or (weights < 0).any():
        raise InputError(
            "weights",
            expected=f"shape (resamples, {len(x)}), none below 0",
            got=f"{weights.shape}",
            cure="take them from mahals.maths.stats.bootstrap.resample_weights",
        )
    high, low = weights @ safe, weights @ ~safe
    n = high + low
    if float(min(high.min(), low.min())) <= 0:
        raise _thin(f"a label with none, in one of {len(weights)}")
    apart = weights * np.where(safe, 1 / high[:, None], -1 / low[:, None])
    product = x @ x.T if x.shape[1] >= len(x) else x
    between = high * low / n * _squares(apart, product)
    squares = weights @ np.einsum("nd,nd->n", x, x)
    total = squares - _squares(weights, product) / n
    if float((total / squares.clip(min=1e-300)).min()) <= 1e-12:
        raise _thin(f"one state only, in one of {len(weights)}")
    return omega2(between / total, n)


def _squares(weights: Floats, product: Floats) -> Floats:
    """|w X|^2 of each row w of `weights`, from X (n, d < n) or its Gram matrix (n, n)."""
    sums = weights @ product
    other = weights if product.shape[0] == product.shape[1] else sums
    return np.asarray(np.einsum("rk,rk->r", sums, other))


def _thin(got: str) -> InputError:
    return InputError(
        "resample",
        expected="different prompts of both labels in every resample",
        got=got,
        cure="measure more prompts, or prompts of more clusters",
    )


def _strata(
    axioms: Sequence[str], labels: Sequence[int], clusters: Sequence[str]
) -> list[str] | None:
    """The finest strata that no cluster crosses: axiom and label, axiom, or none."""
    cells = [f"{a}|{v}" for a, v in zip(axioms, labels, strict=True)]
    for strata in (cells, list(axioms)):
        if len(set(zip(clusters, strata, strict=True))) == len(set(clusters)):
            return strata
    return None


def axiom_draws(
    states: npt.ArrayLike,
    labels: npt.ArrayLike,
    axioms: Sequence[str],
    clusters: Sequence[str] | None,
    how: Resampling,
) -> Floats:
    """Recentred draws (count, A) of the AQI of each axiom, in alphabetical order.

    Arguments as in `model_aqi`. Models measured on the same prompts with the same `how` share
    their resamples, so that draws of several models are paired. Clusters are drawn within axioms,
    and within labels too where each holds one label: what the design fixes stays. Raises
    InputError as `resampled_omega2` does, for fewer than 2 clusters, and axioms of another length.
    """
    x, y = np.asarray(states, dtype=np.float64), np.asarray(labels)
    given = np.asarray(axioms, dtype=np.str_)
    if given.shape != y.shape or not len(y):
        raise InputError(
            "axioms",
            expected=f"one name for each of {len(y)} states",
            got=f"{given.shape}",
            cure="give the axioms in the order of the prompts",
        )
    names = [str(i) for i in range(len(y))] if clusters is None else list(clusters)
    weights = resample_weights(len(y), names, _strata(given.tolist(), y.tolist(), names), how)
    columns = []
    for name in sorted(set(given.tolist())):
        own = np.flatnonzero(given == name)
        draws = resampled_omega2(x[own], y[own], weights[:, own])
        estimate = resampled_omega2(x[own], y[own], np.ones((1, len(own))))
        columns.append(recentred(draws, estimate[0]))
    return np.stack(columns, axis=1)
