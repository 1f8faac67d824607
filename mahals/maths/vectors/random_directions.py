"""Random directions: which have a vector's norm, or come from shuffled pairs, and mean nothing?"""

from __future__ import annotations

from collections.abc import Sequence

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
    of: SteeringVectors,
    sides: tuple[npt.ArrayLike, npt.ArrayLike],
    categories: Sequence[str | None],
    draws: int,
    seed: int,
) -> Vectors:
    """`draws` directions (draws, L, d) from pairs of which half had their sides exchanged.

    `of` was made from the states `sides`, each (n, L, d), of pairs of these categories (n,). Half
    of the pairs of each category, drawn at random, exchange their sides, so that what all pairs of
    a category share cancels, and what is left is the pairs' own noise: with unbalanced flips a
    remainder of the real direction would be scaled up to the dose. (Pairing one side's texts with
    other texts would leave a mean of differences as it is: what has to be lost is which side is
    which.) Each direction has the vector's norms, block by block, and the sign that it comes with.
    A probe is fitted again on the exchanged sides. All other methods give the mean difference:
    singular vectors do not see an exchange. Raises InputError as the methods do, for draws < 1, and
    where nothing is left.
    """
    x, y = pair_states(*sides, 2)
    if draws < 1:
        raise InputError("shuffles", expected="at least 1", got=str(draws), cure="ask for one")
    if len(categories) != len(x):
        raise InputError(
            "shuffled pairs",
            expected=f"the category of each of {len(x)} pairs",
            got=str(len(categories)),
            cure="give one for every pair, None where it has none",
        )
    rng = np.random.default_rng(seed)
    found = [exchanged(of.method, x, y, balanced_signs(categories, rng)) for _ in range(draws)]
    lengths = np.linalg.norm(found, axis=-1, keepdims=True)
    if float(lengths.min()) <= 1e-9 * float(of.norms.max()):
        raise InputError(
            "shuffled pairs",
            expected="pairs that differ in more than what they share",
            got="a direction of length 0",
            cure="use more pairs",
        )
    return np.asarray(np.stack(found) / lengths * of.norms[:, None], dtype=np.float32)


def balanced_signs(categories: Sequence[str | None], rng: np.random.Generator) -> Floats:
    """(n,) of +1 and -1: -1 for half of each category, drawn at random.

    Of a category with an odd number one pair is left over; these take turns, so that over all
    categories the halves differ by one pair at most.
    """
    signs = np.ones(len(categories))
    more = bool(rng.integers(2))
    for category in dict.fromkeys(categories):
        rows = np.flatnonzero([c == category for c in categories])
        half = len(rows) // 2
        if len(rows) % 2:
            half, more = half + more, not more
        signs[rng.permutation(rows)[:half]] = -1.0
    return signs


def exchanged(method: str, a: Floats, b: Floats, signs: Floats) -> Floats:
    """The (L, d) direction from b to a, states (n, L, d), where rows of sign -1 swap their sides.

    A probe's where `method` is `probe`, else the mean difference.
    """
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
