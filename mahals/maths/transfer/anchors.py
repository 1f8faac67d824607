"""Anchors: where does a direction point, told only by similarities to texts both models read?

Relative representations (Moschella et al. 2023, "Relative representations enable zero-shot latent
space communication", ICLR): a state is described by its cosines to the states of m anchor texts.
Both models have states of the same anchors, so that the description is common to them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats
from mahals.maths.transfer.rows import Sides, in_folds
from mahals.records import InputError

PER_DIMENSION = 4  # anchors, of the wider side
FOLDS = 5
PENALTIES = tuple(10.0**e for e in range(-5, 3))
"""Of the inversion, in units of the mean squared singular value of the target's anchors."""

Rows = npt.NDArray[np.int64]


def anchor_matrix(sides: Sides, seed: int) -> tuple[Floats, int, float]:
    """The matrix (d_s, d_t) that carries a direction by its similarities; anchors; penalty.

    With A_s (m, d_s) and A_t (m, d_t) the centred anchor states of both models, scaled to length
    1, a difference vector v is carried as r = A_s v: its cosines to the source's anchors times
    its length (which the target's own norm replaces in the end). It is inverted by the target
    direction w whose similarities A_t w come nearest to r: least squares with a ridge penalty p,
    so w = (A_t'A_t + p)^-1 A_t' A_s v is linear in v. p has the least error over folds of whole
    clusters: real states lie in few directions, and an inversion without it blows up the rest.
    One least-squares scale over the fitted rows makes states comparable and turns nothing. Angles
    are what is kept: a relation of the two spaces that is a rotation is recovered, one that
    stretches is not. The anchors are drawn from the fitted rows by `seed`. Raises InputError for
    an anchor at the mean.
    """
    n = len(sides.source)
    count = min(PER_DIMENSION * sides.wide, n)
    chosen = np.random.default_rng([seed, 2]).choice(n, count, replace=False)
    fold = in_folds(sides.clusters, FOLDS)
    errors = np.zeros(len(PENALTIES))
    for k in range(FOLDS):
        rest, part = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        for i, matrix in enumerate(_carriers(sides, chosen[fold[chosen] != k], rest)):
            errors[i] += float(((sides.source[part] @ matrix - sides.target[part]) ** 2).sum())
    best = int(errors.argmin())
    return _carriers(sides, chosen, np.arange(n))[best], count, PENALTIES[best]


def _carriers(sides: Sides, anchors: Rows, rows: Rows) -> list[Floats]:
    """The matrix at each penalty, from these anchors, with its scale from these rows."""
    a_s, a_t = _unit(sides.source[anchors]), _unit(sides.target[anchors])
    values, vectors = np.linalg.eigh(a_t.T @ a_t)
    turned = vectors.T @ (a_t.T @ a_s)
    x, y = sides.source[rows], sides.target[rows]
    found = []
    for penalty in PENALTIES:
        shrunk = np.maximum(values, 0.0) + penalty * float(values.mean())
        carried = (vectors @ (turned / shrunk[:, None])).T
        seen = x @ carried
        found.append(np.asarray(carried * float((seen * y).sum() / (seen**2).sum())))
    return found


def _unit(states: Floats) -> Floats:
    lengths = np.linalg.norm(states, axis=1, keepdims=True)
    if float(lengths.min()) <= 0:
        raise InputError(
            "anchor texts",
            expected="states that differ from the mean state",
            got=f"{int((lengths <= 0).sum())} at the mean",
            cure="use more different texts",
        )
    return np.asarray(states / lengths)
