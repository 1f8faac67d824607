"""Linear maps: which matrix fits best: any, or one that only turns and scales?"""

from __future__ import annotations

import numpy as np

from mahals.maths.stats.intervals import Floats
from mahals.maths.transfer.rows import Sides, in_folds

FOLDS = 5
ALPHAS = tuple(10.0**e for e in range(-6, 3))
"""Ridge penalties, in units of the mean variance of a source dimension."""


def ridge_matrix(sides: Sides) -> tuple[Floats, float]:
    """Ridge weights (d_s, d_t) with the penalty of least error over folds of whole clusters."""
    x, y = sides.source, sides.target
    gram, cross = x.T @ x, x.T @ y
    unit = float(np.trace(gram)) / x.shape[1]  # sum of squares of a mean source dimension
    errors = np.zeros(len(ALPHAS))
    fold = in_folds(sides.clusters, FOLDS)
    for k in range(FOLDS):
        part_x, part_y = x[fold == k], y[fold == k]
        values, vectors = np.linalg.eigh(gram - part_x.T @ part_x)
        turned, seen = part_x @ vectors, vectors.T @ (cross - part_x.T @ part_y)
        for i, alpha in enumerate(ALPHAS):
            fitted = (turned / (np.maximum(values, 0.0) + alpha * unit)) @ seen
            errors[i] += float(((part_y - fitted) ** 2).sum())
    alpha = ALPHAS[int(errors.argmin())]
    penalty = alpha * unit * np.eye(x.shape[1])
    return np.asarray(np.linalg.solve(gram + penalty, cross)), alpha


def procrustes_matrix(sides: Sides, rank: int) -> Floats:
    """Principal axes of both sides to `rank`, the best orthogonal matrix between, one scale.

    Schonemann 1966; the scale is trace(S) / |x|^2 and does not turn a vector.
    """
    x, y = sides.source, sides.target
    axes_x, axes_y = _axes(x, rank), _axes(y, rank)
    low_x, low_y = x @ axes_x, y @ axes_y
    left, sizes, right = np.linalg.svd(low_x.T @ low_y)
    scale = float(sizes.sum() / (low_x**2).sum())
    return np.asarray(scale * (axes_x @ left @ right @ axes_y.T))


def _axes(centred: Floats, rank: int) -> Floats:
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.asarray(vectors[:, ::-1][:, :rank])
