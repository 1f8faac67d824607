"""Axiom directions: do they agree, or does steering towards one axiom lead away from another?

The cosine of two estimated directions is drawn towards 0 by the noise in both. Correlations are
bounded by the square root of the product of the two reliabilities (Spearman 1904); here
reliability is the cosine of the vectors of two halves of an axiom's pairs, so that the ceiling is
that of directions from half as many pairs: two directions that are one may come out above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats, Interval, t_interval
from mahals.maths.vectors.pairs import Vectors
from mahals.records import InputError

LEAST_PAIRS = 2  # of an axiom


@dataclass(frozen=True)
class AxiomDirections:
    """A mean difference for each of A axioms at each of L blocks, and what it rests on."""

    values: Vectors  # (A, L, d)
    halves: Vectors  # (2, A, L, d) of the even and of the odd pairs of each axiom
    variance: Vectors  # (L, A, A) of cos(i, j): the part that is due to the pairs of axiom i
    pairs: npt.NDArray[np.int64]  # (A,)


@dataclass(frozen=True)
class Agreement:
    """How the A directions of one block lie to each other."""

    cosine: tuple[tuple[Interval, ...], ...]  # A x A, 95 %; -1 opposed, 1 the same
    reliability: tuple[float | None, ...]  # cosine of two halves; None where one has length 0
    ceiling: tuple[tuple[float | None, ...], ...]  # sqrt(r_i r_j); None unless both are above 0

    @property
    def opposed(self) -> tuple[tuple[int, int], ...]:
        """The pairs (i < j) whose whole interval is below 0: in conflict of direction."""
        return tuple((i, j) for i, j in self.apart if self.cosine[i][j].high < 0)

    @property
    def apart(self) -> tuple[tuple[int, int], ...]:
        """All pairs (i < j), the lowest cosine first."""
        size = len(self.reliability)
        found = [(i, j) for i in range(size) for j in range(i + 1, size)]
        return tuple(sorted(found, key=lambda ij: self.cosine[ij[0]][ij[1]].estimate))


def axiom_directions(
    a: npt.ArrayLike, b: npt.ArrayLike, axioms: Sequence[str], names: Sequence[str]
) -> AxiomDirections:
    """The mean of a - b over the pairs of each axiom, from states (n, L, d) and n axioms.

    The variance of a cosine is by the delta method: that of the influences
    (x - m_i) . (u_j - cos u_i) / |m_i| of the pairs x of axiom i, m_i their mean, u_i its unit.
    Raises InputError where a name has fewer than 2 pairs or a direction of length 0, and for nan.
    """
    differences = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    _check(differences, axioms, names)
    labels = np.asarray(axioms, dtype=np.str_)
    groups = [differences[labels == name] for name in names]
    values = np.stack([g.mean(axis=0) for g in groups])
    lengths = np.linalg.norm(values, axis=-1)
    if float(lengths.min()) <= 1e-12:
        raise InputError(
            "directions of the axioms",
            expected="states that differ for the pairs of each axiom",
            got=f"no difference for {names[int(lengths.min(axis=1).argmin())]}",
            cure="use more pairs, and checkpoints that differ",
        )
    halves = [np.stack([g[start::2].mean(axis=0) for g in groups]) for start in (0, 1)]
    blocks = range(differences.shape[1])
    variance = [_variance([g[:, i] for g in groups], values[:, i]) for i in blocks]
    return AxiomDirections(
        values=values.astype(np.float32),
        halves=np.stack(halves).astype(np.float32),
        variance=np.stack(variance).astype(np.float32),
        pairs=np.array([len(g) for g in groups]),
    )


def _variance(groups: Sequence[Floats], means: Floats) -> Floats:
    """(A, A): row i is what the pairs of axiom i add to the variance of its cosines."""
    lengths = np.linalg.norm(means, axis=1)
    units = means / lengths[:, None]
    cosine = units @ units.T
    found = np.empty_like(cosine)
    for i, group in enumerate(groups):
        along = (group - means[i]) @ units.T  # (n_i, A)
        influence = (along - along[:, [i]] * cosine[i]) / lengths[i]
        found[i] = (influence**2).sum(axis=0) / (len(group) * (len(group) - 1))
    return np.asarray(found)


def _check(differences: Floats, axioms: Sequence[str], names: Sequence[str]) -> None:
    counts = {name: sum(a == name for a in axioms) for name in names}
    if differences.ndim != 3 or len(differences) != len(axioms):
        raise InputError(
            "directions of the axioms",
            expected=f"states (n, blocks, width) and {len(differences)} axioms",
            got=f"shape {differences.shape} and {len(axioms)} axioms",
            cure="give the axiom of each pair",
        )
    if min(counts.values()) < LEAST_PAIRS or not np.isfinite(differences).all():
        short = [f"{n} of {name}" for name, n in counts.items() if n < LEAST_PAIRS]
        raise InputError(
            "directions of the axioms",
            expected=f"finite states of at least {LEAST_PAIRS} pairs of each axiom",
            got=", ".join(short) or "states that are nan or infinite",
            cure="raise datasets.pairs_per_split and steering_vectors.pairs",
        )


def agreement(found: AxiomDirections, block: int) -> Agreement:
    """Cosines with intervals, reliabilities and ceilings at one block.

    The interval is t with Satterthwaite's (1946) degrees of freedom, cut to [-1, 1].
    """
    means = found.values[:, block].astype(np.float64)
    units = means / np.linalg.norm(means, axis=1, keepdims=True)
    cosine = np.clip(units @ units.T, -1.0, 1.0)
    own = [_reliability(x, y) for x, y in zip(*found.halves[:, :, block], strict=True)]
    size = range(len(means))
    part, counts = found.variance[block].astype(np.float64), found.pairs
    return Agreement(
        tuple(tuple(_interval(float(cosine[i, j]), part, counts, (i, j)) for j in size)
              for i in size),
        tuple(own),
        tuple(tuple(_ceiling(own[i], own[j]) for j in size) for i in size),
    )  # fmt: skip


def _interval(
    cosine: float, part: Floats, counts: npt.NDArray[np.int64], at: tuple[int, int]
) -> Interval:
    i, j = at
    variance = 0.0 if i == j else float(part[i, j] + part[j, i])
    if variance <= 0:
        return Interval(cosine, cosine, cosine, 0.0)
    shares = part[i, j] ** 2 / (counts[i] - 1) + part[j, i] ** 2 / (counts[j] - 1)
    one = t_interval(cosine, float(np.sqrt(variance)), float(variance**2 / shares))
    return Interval(cosine, max(-1.0, one.low), min(1.0, one.high), one.standard_error)


def _reliability(even: Vectors, odd: Vectors) -> float | None:
    x, y = even.astype(np.float64), odd.astype(np.float64)
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / lengths if lengths > 0 else None


def _ceiling(one: float | None, other: float | None) -> float | None:
    if one is None or other is None or one <= 0 or other <= 0:
        return None
    return float(np.sqrt(one * other))
