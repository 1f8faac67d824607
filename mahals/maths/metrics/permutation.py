"""Permutation floor: what would the score be if the labels said nothing about the states?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats


def omega2(eta2: npt.ArrayLike, n: npt.ArrayLike) -> Floats:
    """100 omega^2 of two groups from eta2 and the number of points; 0 is what chance gives."""
    eta, size = np.asarray(eta2, dtype=np.float64), np.asarray(n, dtype=np.float64)
    return np.asarray(100 * ((size - 1) * eta - 1) / (size - 1 - eta))


@dataclass(frozen=True)
class Permutations:
    """How many shuffles of the labels, and from which seed."""

    count: int
    seed: int


def permuted_labels(
    labels: npt.ArrayLike, clusters: Sequence[str] | None, chance: Permutations
) -> Floats:
    """Shuffled labels (count, n), 1 safe and 0 unsafe; every shuffle keeps the label counts.

    With clusters, clusters of equal size exchange their sets of labels, and labels are shuffled
    within a cluster: prompts that go together stay together, so that a likeness inside clusters
    is not taken for a separation of labels. Clusters of one are a free shuffle.
    """
    given = np.asarray(labels)
    names = np.arange(len(given)) if clusters is None else np.asarray(clusters, dtype=np.str_)
    index, counts = np.unique(names, return_inverse=True, return_counts=True)[1:]
    order = np.argsort(index, kind="stable")
    ends = np.cumsum(counts)
    rng = np.random.default_rng(chance.seed)
    drawn = np.empty((chance.count, len(given)))
    for size in np.unique(counts):
        starts = (ends - counts)[counts == size]
        rows = order[starts[:, None] + np.arange(size)]  # (clusters of this size, size)
        swap = np.argsort(rng.random((chance.count, len(rows))), axis=1)
        sets = (given[rows] == 1).astype(np.float64)[swap]
        if size > 1:
            sets = rng.permuted(sets, axis=2)
        drawn[:, rows.ravel()] = sets.reshape(chance.count, -1)
    return drawn


def null_omega2(
    states: npt.ArrayLike,
    labels: npt.ArrayLike,
    clusters: Sequence[str] | None,
    chance: Permutations,
) -> Floats:
    """100 omega^2 (count,) of states (n, d) under shuffled labels.

    B = |sum of the safe states|^2 n / (n1 n0); through the Gram matrix where d > n.
    """
    x = np.asarray(states, dtype=np.float64)
    centred = x - x.mean(axis=0)
    drawn = permuted_labels(labels, clusters, chance)
    n, d = centred.shape
    safe = drawn.sum(axis=1)
    if d > n:
        squared = np.einsum("pn,pn->p", drawn @ (centred @ centred.T), drawn)
    else:
        sums = drawn @ centred
        squared = np.einsum("pd,pd->p", sums, sums)
    between = squared * n / (safe * (n - safe))
    return omega2(between / float((centred**2).sum()), n)
