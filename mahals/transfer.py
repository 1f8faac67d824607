"""How does a direction of one model become a direction of another?

A map is fitted between the two *base* models on texts that have nothing to do with the steering
pairs. Fitted on the pairs themselves, with fewer rows than dimensions, a least-squares map gives
back the target's own vector between any two spaces, random ones too; rows are therefore counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mahals.records import InputError, unknown
from mahals.stats import Floats

MapKind = Literal["identity", "pad", "ridge", "procrustes"]
KINDS: tuple[MapKind, ...] = ("identity", "pad", "ridge", "procrustes")
ROWS_PER_DIMENSION = 10
FOLDS = 5
HELD_OUT = 0.2
ALPHAS = tuple(10.0**e for e in range(-6, 3))
"""Ridge penalties, in units of the mean variance of a source dimension."""


@dataclass(frozen=True)
class LinearMap:
    """The linear part of a map from source states to target states; higher R2 fits better."""

    kind: MapKind
    matrix: Floats  # (d_s, d_t); a state moves as (h - mean_s) @ matrix + mean_t
    r2_held_out: float | None  # on a fifth of the rows, kept out of the fit; None without rows
    rows: int  # rows given (fit and held out together)
    alpha: float | None  # chosen ridge penalty, in units of the mean variance
    rank: int | None  # common rank of procrustes
    shuffled: bool  # rows of the two sides were put out of step


def fit_map(kind: MapKind, source: npt.ArrayLike, target: npt.ArrayLike, seed: int) -> LinearMap:
    """A map from states (n, d_s) to states (n, d_t) of the same n texts.

    `identity` needs d_s = d_t; `pad` truncates or fills with zeros; `ridge` chooses its penalty
    by 5-fold cross-validation; `procrustes` goes through the principal components of both sides
    to their common rank, then an orthogonal matrix and one scale. Four fifths of the rows are
    fitted, the rest gives R2. Raises InputError for n < 10 d_s (ridge) or n < 10 min(d_s, d_t)
    (procrustes), source states of lower rank than that, nan, d_s = d_t = 1, unequal n.
    """
    if kind not in KINDS:
        raise unknown("map", str(kind), KINDS)
    x, y = _sides(source, target)
    order = np.random.default_rng(seed).permutation(len(x))
    held, kept = np.split(order, [max(1, round(HELD_OUT * len(x)))])
    mean_x, mean_y = x[kept].mean(axis=0), y[kept].mean(axis=0)
    fit_x, fit_y = x[kept] - mean_x, y[kept] - mean_y
    alpha: float | None = None
    rank: int | None = None
    if kind == "ridge":
        _enough(x, ROWS_PER_DIMENSION * x.shape[1], x.shape[1])
        matrix, alpha = _ridge(fit_x, fit_y)
    elif kind == "procrustes":
        rank = min(x.shape[1], y.shape[1])
        _enough(x, ROWS_PER_DIMENSION * rank, rank)
        _enough(y, ROWS_PER_DIMENSION * rank, rank)
        matrix = _procrustes(fit_x, fit_y, rank)
    else:
        matrix = _fixed(kind, x.shape[1], y.shape[1])
    r2 = _r2((x[held] - mean_x) @ matrix, y[held] - mean_y)
    return LinearMap(kind, matrix, r2, len(x), alpha, rank, False)


def fit_shuffled(
    kind: MapKind, source: npt.ArrayLike, target: npt.ArrayLike, seed: int
) -> LinearMap:
    """The control map: the same fit with the target's rows in a random order.

    What it carries, the statistics of the two spaces carry without any correspondence.
    """
    y = np.asarray(target, dtype=np.float64)
    order = np.random.default_rng([seed, 1]).permutation(len(y))
    found = fit_map(kind, source, y[order], seed)
    return LinearMap(
        found.kind, found.matrix, found.r2_held_out, found.rows, found.alpha, found.rank, True
    )


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


def match_layer(block: int, source_layers: int, target_layers: int) -> int:
    """The target block (from 0) nearest in relative depth; the lower one on a tie.

    The relative depth of block l of L is (l + 1) / L: the share of the model behind it, so that
    last meets last. Raises InputError for a block outside the source.
    """
    if not (0 <= block < source_layers and target_layers >= 1):
        raise InputError(
            "block",
            expected=f"0 to {source_layers - 1}, and a target with blocks",
            got=f"{block}, {target_layers} target blocks",
            cure="see `mahals models` for the depth of each",
        )
    # compare |(t + 1) / L_t - (s + 1) / L_s| in whole numbers: ties are exact
    depth = (block + 1) * target_layers
    return min(range(target_layers), key=lambda t: (abs((t + 1) * source_layers - depth), t))


def _sides(source: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 2 or 0 in x.shape + y.shape:
        raise InputError(
            "states to fit a map",
            expected="(n, d_s) and (n, d_t) of the same n >= 2 texts",
            got=f"{x.shape} and {y.shape}",
            cure="read both models on the same texts, in the same order",
        )
    if x.shape[1] == 1 and y.shape[1] == 1:
        raise InputError(
            "states to fit a map",
            expected="more than one dimension on a side",
            got="d_s = d_t = 1",
            cure="every map of one dimension gives the same direction; use wider models",
        )
    bad = int((~np.isfinite(x)).sum() + (~np.isfinite(y)).sum())
    if bad:
        raise InputError(
            "states to fit a map",
            expected="finite numbers",
            got=f"{bad} that are nan or infinite",
            cure="look for an overflow where they were read (float16?)",
        )
    return x, y


def _enough(states: Floats, rows: int, rank: int) -> None:
    """Raises InputError for too few rows, or rows that span fewer than `rank` dimensions."""
    if len(states) < rows:
        raise InputError(
            "rows to fit a map",
            expected=f"at least {rows} ({ROWS_PER_DIMENSION} per dimension)",
            got=str(len(states)),
            cure="raise datasets.texts_per_split or the prompts of the mapping split",
        )
    centred = states - states.mean(axis=0)
    values = np.linalg.eigvalsh(centred.T @ centred)
    found = int((values > 1e-12 * values[-1]).sum()) if values[-1] > 0 else 0
    if found < rank:
        raise InputError(
            "rows to fit a map",
            expected=f"states of rank {rank}",
            got=f"rank {found}: the map would be undetermined",
            cure="use more different texts (repeated rows do not count)",
        )


def _fixed(kind: MapKind, d_s: int, d_t: int) -> Floats:
    if kind == "identity" and d_s != d_t:
        raise InputError(
            "identity map",
            expected="models of equal width",
            got=f"{d_s} and {d_t}",
            cure="use pad, ridge or procrustes",
        )
    return np.eye(d_s, d_t)


def _ridge(x: Floats, y: Floats) -> tuple[Floats, float]:
    """Ridge weights of centred sides with the penalty of least cross-validated error."""
    gram, cross = x.T @ x, x.T @ y
    unit = float(np.trace(gram)) / x.shape[1]  # sum of squares of a mean source dimension
    errors = np.zeros(len(ALPHAS))
    for rows in np.array_split(np.arange(len(x)), FOLDS):
        part_x, part_y = x[rows], y[rows]
        values, vectors = np.linalg.eigh(gram - part_x.T @ part_x)
        turned, seen = part_x @ vectors, vectors.T @ (cross - part_x.T @ part_y)
        for i, alpha in enumerate(ALPHAS):
            fitted = (turned / (np.maximum(values, 0.0) + alpha * unit)) @ seen
            errors[i] += float(((part_y - fitted) ** 2).sum())
    alpha = ALPHAS[int(errors.argmin())]
    penalty = alpha * unit * np.eye(x.shape[1])
    return np.asarray(np.linalg.solve(gram + penalty, cross)), alpha


def _procrustes(x: Floats, y: Floats, rank: int) -> Floats:
    """Principal axes of both sides to `rank`, the best orthogonal matrix between, one scale.

    Schonemann 1966; the scale is trace(S) / |x|^2 and does not turn a vector.
    """
    axes_x, axes_y = _axes(x, rank), _axes(y, rank)
    low_x, low_y = x @ axes_x, y @ axes_y
    left, sizes, right = np.linalg.svd(low_x.T @ low_y)
    scale = float(sizes.sum() / (low_x**2).sum())
    return np.asarray(scale * (axes_x @ left @ right @ axes_y.T))


def _axes(centred: Floats, rank: int) -> Floats:
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.asarray(vectors[:, ::-1][:, :rank])


def _r2(fitted: Floats, true: Floats) -> float | None:
    """1 - error / sum of squares about the fit's mean, over all dimensions together."""
    total = float((true**2).sum())
    return 1 - float(((true - fitted) ** 2).sum()) / total if total > 0 else None
