"""Layer pooling: which mixture of layers holds safe and unsafe furthest apart, on other prompts?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats
from mahals.records import InputError

MARGIN = 2.0  # the largest distance there is in units of the pooled spread, at equal label counts
STEPS = 500
RATE = 0.1  # of gradient steps on the logits


def sparsemax(logits: npt.ArrayLike) -> Floats:
    """The point of the probability simplex nearest to `logits` (L,): many entries are exactly 0.

    Martins and Astudillo 2016, algorithm 1. Raises InputError for no entry, nan and infinity.
    """
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim != 1 or z.size == 0 or not np.isfinite(z).all():
        raise InputError(
            "logits",
            expected="at least one finite number",
            got=f"shape {z.shape}, {int((~np.isfinite(z)).sum())} not finite",
            cure="give one number per layer",
        )
    ordered = np.sort(z)[::-1]
    sums = np.cumsum(ordered) - 1
    kept = np.arange(1, len(z) + 1)
    support = int(kept[ordered * kept > sums][-1])
    return np.asarray(np.maximum(z - sums[support - 1] / support, 0.0))


@dataclass(frozen=True)
class LayerPooling:
    """A mixture of layers: each layer's state times its factor, summed."""

    weights: Floats  # (L,) on the simplex: how much of each layer, of equal spread, is taken
    factors: Floats  # (L,) weights over the layer's spread; the factor of the states themselves
    distance: float  # mean over axioms of the centroid distance, on the prompts it was learned on

    def apply(self, states: npt.ArrayLike) -> Floats:
        """`states` (n, L, d) of the same layers, pooled: (n, d)."""
        x = np.asarray(states, dtype=np.float64)
        if x.ndim != 3 or x.shape[1] != len(self.factors):
            raise InputError(
                "states",
                expected=f"shape (n, {len(self.factors)}, d)",
                got=f"{x.shape}",
                cure="pool the layers that the weights were learned on",
            )
        return np.asarray(np.einsum("nld,l->nd", x, self.factors))


def fit_pooling(
    states: npt.ArrayLike, labels: npt.ArrayLike, axioms: Sequence[str]
) -> LayerPooling:
    """The sparsemax weights over layers that hold each axiom's centroids apart.

    `states` (n, L, d) of prompts that nothing is measured on, `labels` (n,) 1 safe and 0 unsafe.
    Only the weights are trained, by gradient descent from equal ones: the loss is the mean over
    axioms of the hinge max(0, 2 - distance of the centroids), in units of the pooled states'
    spread (root mean squared distance to their mean), without which the layer of the largest norm
    would win. Deterministic. Raises InputError for states of another shape, nan, an axiom without
    both labels, and a layer whose states are all the same.
    """
    x, y = np.asarray(states, dtype=np.float64), np.asarray(labels)
    if x.ndim != 3 or y.shape != x.shape[:1] or len(axioms) != len(x) or 0 in x.shape:
        raise _refuse("(n, layers, d), n labels and n axioms", f"{x.shape}, {y.shape}")
    if not np.isfinite(x).all() or not np.isin(y, (0, 1)).all():
        raise _refuse("finite states and labels 0 and 1", "nan, infinity or another label")
    x = x - x.mean(axis=0)
    spread = np.sqrt((x**2).sum(axis=2).mean(axis=0))
    if float(spread.min()) <= 1e-12 * float(spread.max()):
        raise _refuse("layers whose states differ", f"layer {int(spread.argmin())} is constant")
    x /= spread[:, None]
    whole = np.einsum("nld,nkd->lk", x, x) / len(x)
    apart = np.stack([_gram(x, y, np.asarray(axioms) == a) for a in sorted(set(axioms))])
    logits = _trained(apart, whole)
    weights = sparsemax(logits)
    return LayerPooling(weights, weights / spread, float(_distances(weights, apart, whole).mean()))


def _gram(x: Floats, y: npt.NDArray[np.int64], own: npt.NDArray[np.bool_]) -> Floats:
    """(L, L) products of the layers' centroid differences on one axiom."""
    high, low = own & (y == 1), own & (y == 0)
    if not high.any() or not low.any():
        raise _refuse("prompts of both labels in every axiom", "an axiom with one label")
    difference = x[high].mean(axis=0) - x[low].mean(axis=0)
    return np.asarray(difference @ difference.T)


def _distances(weights: Floats, apart: Floats, whole: Floats) -> Floats:
    """(A,) centroid distances of the pooled states, in units of their spread."""
    between = np.einsum("l,alk,k->a", weights, apart, weights)
    return np.asarray(np.sqrt(np.maximum(between, 0.0) / float(weights @ whole @ weights)))


def _trained(apart: Floats, whole: Floats) -> Floats:
    """Logits (L,) after gradient descent on the hinge; the best ones that were met."""
    layers = len(whole)
    logits = np.full(layers, 1 / layers)
    best, least = logits, np.inf
    for _ in range(STEPS):
        weights = sparsemax(logits)
        distance = _distances(weights, apart, whole)
        short = np.maximum(MARGIN - distance, 0.0)
        if short.mean() < least - 1e-12:
            best, least = logits, float(short.mean())
        active = (short > 0) & (distance > 0)
        if not active.any():
            break
        spread2 = float(weights @ whole @ weights)
        d = distance[active, None]
        slope = (apart[active] @ weights) / d - d * (whole @ weights)
        gradient = -slope.sum(axis=0) / spread2 / len(apart)
        support = weights > 0
        logits = logits - RATE * np.where(support, gradient - gradient[support].mean(), 0.0)
    return best


def _refuse(expected: str, got: str) -> InputError:
    return InputError("layer pooling", expected=expected, got=got, cure="check the prompts")
