"""Rows of a fit: which may a map be fitted on, and which are kept out to check it?"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats
from mahals.records import InputError

Whole = npt.NDArray[np.int64]
ROWS_PER_DIMENSION = 10
HELD_OUT = 0.2


@dataclass(frozen=True)
class Sides:
    """States of the same texts in two models, split by cluster and centred on the fitted rows."""

    source: Floats  # (n, d_s), fitted rows
    target: Floats  # (n, d_t)
    clusters: Whole  # (n,) cluster of each fitted row, in order of first appearance: 0, 0, 1, ...
    held_source: Floats  # the rest, about the means of the fitted rows
    held_target: Floats
    given: int  # rows given, fitted and held out together

    @property
    def narrow(self) -> int:
        """The smaller width."""
        return int(min(self.source.shape[1], self.target.shape[1]))

    @property
    def wide(self) -> int:
        """The larger width."""
        return int(max(self.source.shape[1], self.target.shape[1]))


def split_sides(
    source: npt.ArrayLike, target: npt.ArrayLike, groups: Sequence[Hashable] | None, seed: int
) -> Sides:
    """The two sides with at most a fifth of the rows held out, whole clusters of them.

    `groups` names the cluster of each row; without it each row is its own. At least one cluster
    is held out. Raises InputError for bad states (`checked_sides`), or fewer than two clusters.
    """
    x, y = checked_sides(source, target)
    codes = _codes(groups, len(x))
    order = np.random.default_rng(seed).permutation(codes.max() + 1)
    place = np.argsort(order)[codes]  # of each row's cluster in the shuffled order
    rows = np.argsort(place, kind="stable")
    ends = np.cumsum(np.bincount(place))  # rows up to and with each cluster, shuffled
    count = ends[max(1, int((ends <= round(HELD_OUT * len(x))).sum())) - 1]
    held, kept = rows[:count], rows[count:]
    mean_x, mean_y = x[kept].mean(axis=0), y[kept].mean(axis=0)
    return Sides(
        x[kept] - mean_x,
        y[kept] - mean_y,
        place[kept] - place[kept].min(),
        x[held] - mean_x,
        y[held] - mean_y,
        len(x),
    )


def checked_sides(source: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Both sides as float64. Raises InputError for unequal n, n < 2, nan, or d_s = d_t = 1."""
    x, y = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 2 or 0 in x.shape + y.shape:
        raise _refuse(
            "(n, d_s) and (n, d_t) of the same n >= 2 texts",
            f"{x.shape} and {y.shape}",
            "read both models on the same texts, in the same order",
        )
    if x.shape[1] == 1 and y.shape[1] == 1:
        raise _refuse(
            "more than one dimension on a side",
            "d_s = d_t = 1",
            "every map of one dimension gives the same direction; use wider models",
        )
    bad = int((~np.isfinite(x)).sum() + (~np.isfinite(y)).sum())
    if bad:
        raise _refuse(
            "finite numbers",
            f"{bad} that are nan or infinite",
            "look for an overflow where they were read (float16?)",
        )
    return x, y


def enough_rows(fitted: int, dimensions: int, given: int) -> None:
    """Raises InputError for fewer than 10 *fitted* rows a dimension; says how many are missing.

    `given` are the rows before any was held out: their share that is fitted stays as it is.
    """
    wanted = ROWS_PER_DIMENSION * dimensions
    if fitted < wanted:
        missing = math.ceil((wanted - fitted) * given / max(1, fitted))
        raise InputError(
            "rows to fit a map",
            expected=f"at least {wanted} after the hold-out ({ROWS_PER_DIMENSION} per dimension)",
            got=str(fitted),
            cure=f"raise datasets.texts_per_split by {missing}, or datasets.per_cell",
        )


def enough_rank(centred: Floats, rank: int) -> None:
    """Raises InputError when centred rows span fewer than `rank` dimensions."""
    values = np.linalg.eigvalsh(centred.T @ centred)
    found = int((values > 1e-12 * values[-1]).sum()) if values[-1] > 0 else 0
    if found < rank:
        raise InputError(
            "rows to fit a map",
            expected=f"states of rank {rank}",
            got=f"rank {found}: the map would be undetermined",
            cure="use more different texts (repeated rows do not count)",
        )


def in_folds(clusters: Whole, folds: int) -> Whole:
    """The fold (n,) of each row, 0 to folds - 1: near equal in rows, no cluster in two of them.

    Raises InputError for fewer clusters than folds.
    """
    sizes = np.bincount(clusters)
    if len(sizes) < folds:
        raise _refuse(
            f"at least {folds} clusters of texts after the hold-out",
            str(len(sizes)),
            "use texts of more clusters: a map is checked on clusters that it has not seen",
        )
    starts = np.cumsum(sizes) - sizes
    return np.asarray((starts * folds // len(clusters))[clusters])


def r_squared(fitted: Floats, true: Floats) -> float | None:
    """1 - error / sum of squares about the fit's mean, all dimensions together; higher is better.

    None where the truth does not vary.
    """
    total = float((true**2).sum())
    return 1 - float(((true - fitted) ** 2).sum()) / total if total > 0 else None


def _codes(groups: Sequence[Hashable] | None, n: int) -> Whole:
    if groups is None:
        return np.arange(n)
    names: dict[Hashable, int] = {}
    codes = np.array([names.setdefault(g, len(names)) for g in groups], dtype=np.int64)
    if len(codes) != n or len(names) < 2:
        raise _refuse(
            "a cluster for each text, two or more in all",
            f"{len(codes)} names of {len(names)} clusters for {n} texts",
            "give the clusters in the order of the texts",
        )
    return codes


def _refuse(expected: str, got: str, cure: str) -> InputError:
    return InputError("states to fit a map", expected=expected, got=got, cure=cure)
