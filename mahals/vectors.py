"""Which direction takes a model's states from base to aligned, or from rejected to chosen?"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.records import InputError
from mahals.stats import Floats

Vectors = npt.NDArray[np.float32]
Metadata = Mapping[str, int | bool | str | list[float]]


@dataclass(frozen=True)
class _Method:
    """How two sets of states (n, d) of one block, row by row alike, become a vector (d,)."""

    name: str
    estimate: Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class SteeringVectors:
    """One vector for each decoder block; row l belongs to block l of one model at one revision."""

    values: Vectors  # (L, d)
    method: str
    norms: Floats  # (L,) length of each vector
    cosine: Floats  # (L,) mean over samples of the cosine of the two states; 1 = not turned
    explained_variance: Floats | None  # (L,) share along the component; None for mean methods
    split_half: Floats  # (L,) cosine of the vectors of even and odd rows; higher is more reliable
    metadata: Metadata


def mean_difference(aligned: npt.ArrayLike, base: npt.ArrayLike) -> SteeringVectors:
    """v_l = mean(h_l aligned - h_l base), from states (n, L, d) of the same n texts.

    Raises InputError for n < 2, unequal shapes, nan, and blocks where nothing differs.
    """
    a, b = _states(aligned, base, 2)
    return _collect(_Method("mean_difference", _mean), a, b, None, {"samples": len(a)})


def contrast(chosen: npt.ArrayLike, rejected: npt.ArrayLike) -> SteeringVectors:
    """v_l = mean(h_l chosen) - mean(h_l rejected) in one model; shapes and errors as above."""
    a, b = _states(chosen, rejected, 2)
    return _collect(_Method("contrast", _mean), a, b, None, {"samples": len(a)})


def svd_k(aligned: npt.ArrayLike, base: npt.ArrayLike, k: int, centered: bool) -> SteeringVectors:
    """The k-th (from 1) right singular vector of the differences aligned - base, per block.

    Its sign agrees with the mean difference and it has that difference's norm. With `centered`
    the mean difference is taken out first: what is left need not follow it, and
    `metadata["cosine_to_mean"]` shows per block how far it does. Raises InputError for k < 1,
    fewer than 2 (k + 2) samples, and differences of a rank below k.
    """
    if k < 1:
        raise InputError("k", expected="at least 1", got=str(k), cure="the first vector is k = 1")
    a, b = _states(aligned, base, 2 * (k + 2))
    return _component("svd_k", a, b, k, centered)


def pca(chosen: npt.ArrayLike, rejected: npt.ArrayLike) -> SteeringVectors:
    """The first principal component of the centred pair differences chosen - rejected, per block.

    Sign and norm are those of the mean difference. Raises InputError as `svd_k` with k = 1.
    """
    a, b = _states(chosen, rejected, 6)
    return _component("pca", a, b, 1, True)


def _component(method: str, a: Floats, b: Floats, k: int, centered: bool) -> SteeringVectors:
    def estimate(x: Floats, y: Floats) -> Floats:
        return _singular(x - y, k, centered)[0]

    differences = a - b
    found = [_singular(differences[:, block], k, centered) for block in range(a.shape[1])]
    vectors = np.stack([v for v, _ in found])
    mean = differences.mean(axis=0)
    metadata: dict[str, int | bool | str | list[float]] = {
        "samples": len(a),
        "k": k,
        "centered": centered,
        "cosine_to_mean": [float(c) for c in _cosines(vectors, mean)],
    }
    explained = np.array([share for _, share in found])
    return _collect(_Method(method, estimate), a, b, explained, metadata)


def _singular(differences: Floats, k: int, centered: bool) -> tuple[Floats, float]:
    """The k-th right singular vector of (n, d), signed and scaled by the mean; its share."""
    mean = differences.mean(axis=0)
    x = differences - mean if centered else differences
    _, sizes, rows = np.linalg.svd(x, full_matrices=False)
    if k > len(sizes) or sizes[k - 1] <= 1e-10 * max(float(sizes[0]), np.finfo(float).tiny):
        rank = int((sizes > 1e-10 * sizes[0]).sum())
        raise InputError(
            "differences",
            expected=f"a rank of at least k = {k}",
            got=str(rank),
            cure="use more different texts or a smaller k",
        )
    vector = rows[k - 1]
    sign = 1.0 if float(vector @ mean) >= 0 else -1.0
    share = float(sizes[k - 1] ** 2 / (sizes**2).sum())
    return np.asarray(sign * float(np.linalg.norm(mean)) * vector), share


def _mean(a: Floats, b: Floats) -> Floats:
    return np.asarray(a.mean(axis=0) - b.mean(axis=0))


def _collect(
    method: _Method, a: Floats, b: Floats, explained: Floats | None, metadata: Metadata
) -> SteeringVectors:
    blocks = range(a.shape[1])
    values = np.stack([method.estimate(a[:, i], b[:, i]) for i in blocks])
    even = np.stack([method.estimate(a[::2, i], b[::2, i]) for i in blocks])
    odd = np.stack([method.estimate(a[1::2, i], b[1::2, i]) for i in blocks])
    norms = np.linalg.norm(values, axis=1)
    if float(norms.min()) <= 1e-12:
        raise InputError(
            f"{method.name} vector",
            expected="states that differ at every block",
            got=f"no difference at block {int(norms.argmin())}",
            cure="check that the two checkpoints (or texts) are not the same",
        )
    return SteeringVectors(
        values=values.astype(np.float32),
        method=method.name,
        norms=np.asarray(norms),
        cosine=np.asarray(_cosines(a, b).mean(axis=0)),
        explained_variance=explained,
        split_half=_cosines(even, odd),
        metadata=metadata,
    )


def _cosines(a: Floats, b: Floats) -> Floats:
    """Cosine over the last axis. Raises InputError for a vector of length 0."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    if float(lengths.min()) <= 0.0:
        raise InputError(
            "cosine",
            expected="vectors longer than 0",
            got="one of length 0",
            cure="use more samples, and texts whose states differ",
        )
    return np.asarray((a * b).sum(axis=-1) / lengths)


def _states(a: npt.ArrayLike, b: npt.ArrayLike, least: int) -> tuple[Floats, Floats]:
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if x.ndim != 3 or x.shape != y.shape or 0 in x.shape or len(x) < least:
        raise InputError(
            "states of pairs",
            expected=f"two arrays (n, blocks, width) of one shape, n >= {least}",
            got=f"{x.shape} and {y.shape}",
            cure="read both sides on the same texts, and on enough of them",
        )
    bad = int((~np.isfinite(x)).sum() + (~np.isfinite(y)).sum())
    if bad:
        raise InputError(
            "states of pairs",
            expected="finite numbers",
            got=f"{bad} that are nan or infinite",
            cure="look for an overflow where they were read (float16?)",
        )
    return x, y


def random_like(vector: npt.ArrayLike, k: int, seed: int) -> Floats:
    """k random directions (k, d), uniform on the sphere, each of the norm of `vector` (d,)."""
    v = np.asarray(vector, dtype=np.float64)
    if v.ndim != 1 or v.size == 0 or not np.isfinite(v).all() or not v.any() or k < 1:
        raise InputError(
            "vector",
            expected="a finite vector longer than 0, and at least one draw",
            got=f"shape {v.shape}, norm {np.linalg.norm(v):g}, {k} draws",
            cure="build the vector again",
        )
    drawn = np.random.default_rng(seed).standard_normal((k, v.size))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.asarray(drawn * np.linalg.norm(v))


def shuffled_difference(a: npt.ArrayLike, b: npt.ArrayLike, seed: int) -> Floats:
    """The control from shuffled pairs (L, d): each pair's difference with a random sign.

    Every block has the same signs and the norm of its true mean difference.
    """
    x, y = _states(a, b, 2)
    sign = np.random.default_rng(seed).choice((-1.0, 1.0), size=len(x))
    mixed = np.einsum("n,nld->ld", sign, x - y)
    lengths = np.linalg.norm(mixed, axis=1, keepdims=True)
    if float(lengths.min()) <= 0.0:
        raise InputError(
            "shuffled pairs",
            expected="signs that do not cancel",
            got="a vector of length 0",
            cure="use another seed or more pairs",
        )
    return np.asarray(mixed / lengths * np.linalg.norm((x - y).mean(axis=0), axis=1)[:, None])


def increments(values: npt.ArrayLike, blocks: Sequence[int]) -> dict[int, Floats]:
    """What to add at each steered block so that the sum after the last is its vector, once.

    `values` (L, d); the first (lowest) block gets v_l, each later one v_l minus the vector of the
    steered block before it (v_{l-1} for neighbours). Raises InputError for a block outside
    [0, L), a block named twice, or none.
    """
    v = np.asarray(values, dtype=np.float64)
    ordered = sorted(blocks)
    if not ordered or len(set(ordered)) < len(ordered) or ordered[0] < 0 or ordered[-1] >= len(v):
        raise InputError(
            "steered blocks",
            expected=f"different block numbers from 0 to {len(v) - 1}",
            got=f"{list(blocks)}",
            cure="a vector belongs to one architecture: check its number of blocks",
        )
    found = {ordered[0]: v[ordered[0]].copy()}
    for before, block in itertools.pairwise(ordered):
        found[block] = np.asarray(v[block] - v[before])
    return found
