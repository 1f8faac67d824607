"""Random directions: which have a vector's norm, or come from shuffled pairs, and mean nothing?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats
from mahals.maths.vectors.estimators import SteeringVectors, probe_normal
from mahals.maths.vectors.pairs import Vectors, cosines, pair_states
from mahals.records import InputError


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


def shuffled_pairs(
    of: SteeringVectors, a: npt.ArrayLike, b: npt.ArrayLike, draws: int, seed: int
) -> Vectors:
    """`draws` directions (draws, L, d) from pairs whose sides were swapped at random.

    `of` was made from the states `a` and `b` (n, L, d); each direction has its norms, block by
    block, and the sign that it comes with. Pairing one side's texts with other texts would leave a
    mean of differences as it is: what has to be lost is which side is which. Neighbouring rows
    (0 and 1, 2 and 3, ...) are swapped in opposite ways, so what all rows share cancels, and what
    alike neighbours share cancels too. A probe is fitted again on the swapped sides. All other
    methods give the mean difference of the swapped pairs: singular vectors do not see a swap.
    Raises InputError as the methods do, for draws < 1, and where nothing is left.
    """
    x, y = pair_states(a, b, 2)
    if draws < 1:
        raise InputError("shuffles", expected="at least 1", got=str(draws), cure="ask for one")
    rng = np.random.default_rng(seed)
    found = [_direction(of.method, x, y, _signs(len(x), rng)) for _ in range(draws)]
    lengths = np.linalg.norm(found, axis=-1, keepdims=True)
    if float(lengths.min()) <= 1e-9 * float(of.norms.max()):
        raise InputError(
            "shuffled pairs",
            expected="pairs that differ in more than what they share",
            got="a direction of length 0",
            cure="use more pairs",
        )
    return np.asarray(np.stack(found) / lengths * of.norms[:, None], dtype=np.float32)


def _signs(n: int, rng: np.random.Generator) -> Floats:
    """+1 or -1 for each row, opposite in neighbours."""
    first = rng.choice((-1.0, 1.0), size=(n + 1) // 2)
    return np.asarray(np.stack([first, -first], axis=1).ravel()[:n])


def _direction(method: str, a: Floats, b: Floats, signs: Floats) -> Floats:
    """The (L, d) direction where rows of sign -1 have their sides swapped."""
    if method != "probe":
        return np.asarray(np.einsum("n,nld->ld", signs, a - b) / len(a))
    kept = (signs > 0)[:, None]
    blocks = [(a[:, i], b[:, i]) for i in range(a.shape[1])]
    return np.stack([probe_normal(np.where(kept, x, y), np.where(kept, y, x)) for x, y in blocks])


def likeness(drawn: Vectors, of: SteeringVectors) -> Floats:
    """(L,) mean absolute cosine of control directions (draws, L, d) to a vector.

    Lower is better: a control that lies along the vector, or against it, controls little. Random
    directions would give sqrt(2 / (pi d)).
    """
    own = np.broadcast_to(of.values, drawn.shape).astype(np.float64)
    return np.asarray(np.abs(cosines(drawn.astype(np.float64), own)).mean(axis=0))
