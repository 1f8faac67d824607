"""Vector estimators: how do states of pairs become one vector per block, and how sure is it?

The two halves of `split_half` are the even and the odd rows: give rows that are alike (one axiom,
one label) as neighbours, so that both halves hold the same mixture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from mahals.maths.stats.intervals import Floats
from mahals.maths.vectors.pairs import Vectors, cosines, pair_states
from mahals.records import InputError

Metadata = Mapping[str, int | bool | str | list[float]]
PROBE_STEPS = 1000  # at most
NEWTON_WIDTH = 512  # up to this width Newton's steps are the faster way to the same minimum


@dataclass(frozen=True)
class _One:
    """What a method finds at one block."""

    vector: Floats  # (d,)
    share: float | None  # of the variance, along a component


@dataclass(frozen=True)
class _Method:
    """How two sets of states (n, d) of one block, row by row alike, become a vector (d,)."""

    name: str
    estimate: Callable[[Floats, Floats], _One]
    turns: bool  # whether the vector need not follow the mean difference


@dataclass(frozen=True)
class SteeringVectors:
    """One vector for each decoder block; row l belongs to block l of one model at one revision."""

    values: Vectors  # (L, d)
    method: str
    norms: Floats  # (L,) length of each vector
    state_norms: Floats  # (L,) mean length of the states it starts from: base, or rejected
    cosine: Floats  # (L,) mean over samples of the cosine of the two states; 1 = not turned
    explained_variance: Floats | None  # (L,) share along the component; None for other methods
    split_half: Floats  # (L,) cosine of the vectors of even and odd rows; higher is more reliable
    metadata: Metadata


def mean_difference(aligned: npt.ArrayLike, base: npt.ArrayLike) -> SteeringVectors:
    """v_l = mean(h_l aligned - h_l base), from states (n, L, d) of the same n texts.

    Raises InputError for n < 2, unequal shapes, nan, states that are the same for all texts, and
    blocks where nothing differs.
    """
    a, b = pair_states(aligned, base, 2)
    return _collect(_Method("mean_difference", _mean, False), a, b, {})


def contrast(chosen: npt.ArrayLike, rejected: npt.ArrayLike) -> SteeringVectors:
    """v_l = mean(h_l chosen) - mean(h_l rejected) in one model; shapes and errors as above."""
    a, b = pair_states(chosen, rejected, 2)
    return _collect(_Method("contrast", _mean, False), a, b, {})


def svd_k(aligned: npt.ArrayLike, base: npt.ArrayLike, k: int, centered: bool) -> SteeringVectors:
    """The k-th (from 1) right singular vector of the differences aligned - base, per block.

    Its sign agrees with the mean difference and it has that difference's norm. With `centered`
    the mean difference is taken out first: what is left need not follow it, and
    `metadata["cosine_to_mean"]` shows per block how far it does. Raises InputError for k < 1,
    fewer than 2 (k + 2) samples, and differences of a rank below k.
    """
    if k < 1:
        raise InputError("k", expected="at least 1", got=str(k), cure="the first vector is k = 1")
    a, b = pair_states(aligned, base, 2 * (k + 2))
    return _collect(_component("svd_k", k, centered), a, b, {"k": k, "centered": centered})


def pca(chosen: npt.ArrayLike, rejected: npt.ArrayLike) -> SteeringVectors:
    """The first principal component of the centred pair differences chosen - rejected, per block.

    Sign and norm are those of the mean difference. Raises InputError as `svd_k` with k = 1.
    """
    a, b = pair_states(chosen, rejected, 6)
    return _collect(_component("pca", 1, True), a, b, {"k": 1, "centered": True})


def probe(chosen: npt.ArrayLike, rejected: npt.ArrayLike) -> SteeringVectors:
    """The normal of a logistic regression that tells chosen from rejected, per block.

    L2 penalty (scikit-learn's C = 1) on states standardized per dimension over both sides, with an
    intercept; the normal is mapped back to the states' own units (w / scale). It points to the
    chosen side and has the norm of the mean difference; `metadata["cosine_to_mean"]` is as in
    `svd_k`. Raises InputError for n < 4, as `contrast` does, and where the fit does not end.
    """
    a, b = pair_states(chosen, rejected, 4)
    return _collect(_Method("probe", lambda x, y: _One(probe_normal(x, y), None), True), a, b, {})


def probe_normal(a: Floats, b: Floats) -> Floats:
    """The probe's vector (d,) of one block, from states (n, d) of both sides."""
    both = np.concatenate([a, b])
    spread = both.std(axis=0)
    scale = np.where(spread > 1e-12 * float(spread.max()), spread, np.inf)
    side = np.repeat([1, 0], [len(a), len(b)])
    solver = "newton-cholesky" if a.shape[1] <= NEWTON_WIDTH else "lbfgs"
    fit = LogisticRegression(max_iter=PROBE_STEPS, solver=solver)
    fit.fit((both - both.mean(axis=0)) / scale, side)
    if int(fit.n_iter_[0]) >= PROBE_STEPS:
        raise InputError(
            "probe",
            expected=f"a fit that ends within {PROBE_STEPS} steps",
            got="one that does not",
            cure="use more pairs, or another method",
        )
    return _as_mean(fit.coef_[0] / scale, a.mean(axis=0) - b.mean(axis=0))


def _mean(a: Floats, b: Floats) -> _One:
    return _One(np.asarray(a.mean(axis=0) - b.mean(axis=0)), None)


def _as_mean(vector: Floats, mean: Floats) -> Floats:
    """`vector` with the sign and the norm of the mean difference; 0 where that is 0."""
    sign = 1.0 if float(vector @ mean) >= 0 else -1.0
    length = max(float(np.linalg.norm(vector)), np.finfo(float).tiny)
    return np.asarray(sign * float(np.linalg.norm(mean)) / length * vector)


def _component(name: str, k: int, centered: bool) -> _Method:
    return _Method(name, lambda a, b: _singular(a - b, k, centered), True)


def _singular(differences: Floats, k: int, centered: bool) -> _One:
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
    return _One(_as_mean(rows[k - 1], mean), float(sizes[k - 1] ** 2 / (sizes**2).sum()))


def _vectors(method: _Method, a: Floats, b: Floats) -> Floats:
    return np.stack([method.estimate(a[:, i], b[:, i]).vector for i in range(a.shape[1])])


def _collect(method: _Method, a: Floats, b: Floats, more: Metadata) -> SteeringVectors:
    found = [method.estimate(a[:, i], b[:, i]) for i in range(a.shape[1])]
    values = np.stack([one.vector for one in found])
    norms = np.linalg.norm(values, axis=1)
    if float(norms.min()) <= 1e-12:
        raise InputError(
            f"{method.name} vector",
            expected="states that differ at every block",
            got=f"no difference at block {int(norms.argmin())}",
            cure="check that the two checkpoints (or texts) are not the same",
        )
    metadata: dict[str, int | bool | str | list[float]] = {"samples": len(a), **more}
    if method.turns:
        metadata["cosine_to_mean"] = cosines(values, (a - b).mean(axis=0)).tolist()
    shares = [one.share for one in found if one.share is not None]
    return SteeringVectors(
        values=values.astype(np.float32),
        method=method.name,
        norms=np.asarray(norms),
        state_norms=np.asarray(np.linalg.norm(b, axis=-1).mean(axis=0)),
        cosine=np.asarray(cosines(a, b).mean(axis=0)),
        explained_variance=np.array(shares) if shares else None,
        split_half=cosines(_vectors(method, a[::2], b[::2]), _vectors(method, a[1::2], b[1::2])),
        metadata=metadata,
    )
