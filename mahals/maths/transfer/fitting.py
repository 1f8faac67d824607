"""Map fits: which linear map leads from one model's states to another's, and how well?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats
from mahals.maths.transfer.anchors import anchor_matrix
from mahals.maths.transfer.linear import procrustes_matrix, ridge_matrix
from mahals.maths.transfer.mlp import Mlp, fit_mlp, trained_rows
from mahals.maths.transfer.rows import Sides, enough_rank, enough_rows, r_squared, split_sides
from mahals.records import InputError, unknown

MapKind = Literal["identity", "pad", "ridge", "procrustes", "mlp", "anchors"]
KINDS: tuple[MapKind, ...] = ("identity", "pad", "ridge", "procrustes", "mlp", "anchors")


@dataclass(frozen=True)
class LinearMap:
    """The linear part of a map from source states to target states; higher R2 fits better."""

    kind: MapKind
    matrix: Floats  # (d_s, d_t); a state moves as (h - mean_s) @ matrix + mean_t
    r2_held_out: float | None  # of the whole map on clusters kept out of the fit; None: no variance
    r2_linear: float | None  # the same of the linear part alone: another number for `mlp` only
    rows: int  # rows given
    fitted: int  # rows of them that were fitted; of the others some give R2, mlp's validate
    alpha: float | None  # chosen penalty of ridge and anchors, in units of the mean variance
    rank: int | None  # procrustes: common rank; mlp: hidden width; anchors: number of anchors
    shuffled: bool  # rows of the two sides were put out of step


def fit_map(
    kind: MapKind,
    source: npt.ArrayLike,
    target: npt.ArrayLike,
    seed: int,
    groups: Sequence[Hashable] | None,
) -> LinearMap:
    """A map from states (n, d_s) to states (n, d_t) of the same n texts.

    `identity` needs d_s = d_t; `pad` truncates or fills with zeros; `ridge` chooses its penalty
    by 5-fold cross-validation; `procrustes` goes through the principal components of both sides
    to their common rank, then an orthogonal matrix and one scale; `mlp` is the mean Jacobian of a
    network with one hidden layer; `anchors` goes by the similarities to shared texts. At least
    four fifths of the rows are fitted, the rest gives R2; `groups` (n) names the cluster of each
    row (None: each is its own), and a cluster is never on both sides. Raises InputError for fewer
    than 10 fitted rows a dimension (of the source for ridge, the narrower side for procrustes, the
    wider one for mlp and anchors; the rows that validate an mlp do not count), states of lower rank
    than the map needs, nan, d_s = d_t = 1, unequal n.
    """
    if kind not in KINDS:
        raise unknown("map", str(kind), KINDS)
    return _fit(kind, split_sides(source, target, groups, seed), seed)


def fit_shuffled(
    kind: MapKind,
    source: npt.ArrayLike,
    target: npt.ArrayLike,
    seed: int,
    groups: Sequence[Hashable] | None,
) -> LinearMap:
    """The control map: the same fit with the target's rows in a random order.

    What it carries, the statistics of the two spaces carry without any correspondence.
    """
    y = np.asarray(target)
    order = np.random.default_rng([seed, 1]).permutation(len(y))
    return replace(fit_map(kind, source, y[order], seed, groups), shuffled=True)


def move(mapping: LinearMap, vector: npt.ArrayLike, target_norm: float) -> Floats:
    """A difference vector (d_s,) in the target's space, (d_t,), of length `target_norm`.

    Only the linear part acts: the means of the two spaces are no part of a difference. Raises
    InputError for a vector of another width, a map that sends it to 0, or a norm not above 0.
    """
    v = np.asarray(vector, dtype=np.float64)
    if v.shape != (mapping.matrix.shape[0],) or not np.isfinite(v).all():
        raise InputError(
            "vector",
            expected=f"{mapping.matrix.shape[0]} finite numbers",
            got=f"shape {v.shape}",
            cure="a map moves vectors of the model that it was fitted on",
        )
    moved = v @ mapping.matrix
    length = float(np.linalg.norm(moved))
    if not (np.isfinite(target_norm) and target_norm > 0 and length > 0):
        raise InputError(
            "moved vector",
            expected="a length and a target norm above 0",
            got=f"{length:g} and {target_norm:g}",
            cure="the map loses this vector; use another map",
        )
    return np.asarray(moved * (target_norm / length))


def _fit(kind: MapKind, sides: Sides, seed: int) -> LinearMap:
    alpha: float | None = None
    rank: int | None = None
    network: Mlp | None = None
    _check(kind, sides)
    if kind == "ridge":
        matrix, alpha = ridge_matrix(sides)
    elif kind == "procrustes":
        rank = sides.narrow
        matrix = procrustes_matrix(sides, rank)
    elif kind == "anchors":
        matrix, rank, alpha = anchor_matrix(sides, seed)
    elif kind == "mlp":
        network = fit_mlp(sides, seed)
        matrix, rank = network.mean_jacobian(sides.source), network.width
    else:
        matrix = np.eye(sides.source.shape[1], sides.target.shape[1])
    linear = r_squared(sides.held_source @ matrix, sides.held_target)
    whole = linear
    if network is not None:
        whole = r_squared(network(sides.held_source), sides.held_target)
    fitted = len(sides.source) if network is None else int(trained_rows(sides).sum())
    return LinearMap(kind, matrix, whole, linear, sides.given, fitted, alpha, rank, False)


def _check(kind: MapKind, sides: Sides) -> None:
    """Raises InputError where the rows do not determine the map."""
    d_s, d_t = sides.source.shape[1], sides.target.shape[1]
    if kind == "identity" and d_s != d_t:
        raise InputError(
            "identity map",
            expected="models of equal width",
            got=f"{d_s} and {d_t}",
            cure="use pad, ridge, procrustes, mlp or anchors",
        )
    if kind == "ridge":
        enough_rows(len(sides.source), d_s, sides.given)
        enough_rank(sides.source, d_s)
    elif kind in ("procrustes", "mlp", "anchors"):
        fitted = int(trained_rows(sides).sum()) if kind == "mlp" else len(sides.source)
        enough_rows(fitted, sides.narrow if kind == "procrustes" else sides.wide, sides.given)
        enough_rank(sides.source, sides.narrow)
        enough_rank(sides.target, sides.narrow)
