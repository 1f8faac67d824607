"""Additive fit: can payoffs of joint actions not measured be told from those that were?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.games.payoffs import (
    Cells,
    Weights,
    check_each,
    paid_at,
    payoffs_of,
    redrawn_at,
    redrawn_payoffs,
)
from mahals.maths.stats.bootstrap import Resampling
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError


@dataclass(frozen=True, eq=False)
class Additive:
    """Payoffs as a constant plus one effect per agent's action, for every player.

    Under such payoffs each player has one best action whatever the others do: an additive fit can
    show no conflict between agents. Its held-out error says how far it is to be believed.
    """

    payoffs: Floats  # (N, n_1, ..., n_N), fitted
    held_out_error: tuple[float, ...]  # per player, root mean square of leave-one-cell-out errors
    held_out_r2: tuple[float | None, ...]  # 1 is perfect, <= 0 no better than the mean; None: flat


def additive_fit(
    measured: Mapping[tuple[int, ...], npt.ArrayLike], shape: Sequence[int]
) -> Additive:
    """Least-squares additive payoffs from the payoffs (N,) of the measured joint actions.

    Raises InputError when an action was never measured, a payoff is not finite, or there are too
    few cells to leave each out once.
    """
    joints = np.array(sorted(measured), dtype=np.int64).reshape(len(measured), -1)
    paid = np.array([np.asarray(measured[tuple(j)], dtype=np.float64) for j in joints.tolist()])
    rank = 1 + sum(n - 1 for n in shape)
    seen = joints.shape[1] == len(shape) and all(
        len(set(joints[:, i].tolist())) == n for i, n in enumerate(shape)
    )
    right = seen and paid.shape == (len(joints), len(shape)) and bool(np.isfinite(paid).all())
    columns = _columns(joints, shape) if right else np.zeros((len(joints), 1))
    hat = np.asarray(columns @ np.linalg.pinv(columns))
    if not right or np.linalg.matrix_rank(columns) < rank or hat.diagonal().max() > 1 - 1e-9:
        raise InputError(
            "additive fit",
            expected=f"finite payoffs, each action measured often, more than {rank} cells",
            got=f"{len(joints)} cells",
            cure="measure more joint actions",
        )
    errors = (paid - hat @ paid) / (1 - hat.diagonal())[:, None]
    around = (paid - paid.mean(axis=0)) * len(paid) / (len(paid) - 1)
    every = np.array(list(np.ndindex(*shape)), dtype=np.int64)
    fitted = _columns(every, shape) @ (np.linalg.pinv(columns) @ paid)
    whole = np.square(around).sum(axis=0)
    r2 = [
        float(1 - e / w) if w > 1e-18 else None
        for e, w in zip(np.square(errors).sum(axis=0), whole, strict=True)
    ]
    rms = np.sqrt(np.square(errors).mean(axis=0))
    return Additive(fitted.T.reshape(len(shape), *shape), tuple(float(e) for e in rms), tuple(r2))


def sampled(cells: Cells, shape: Sequence[int]) -> bool:
    """Whether the cells are a sample that is fitted: some are missing, of three agents or more."""
    return len(shape) > 2 and any(joint not in cells for joint in np.ndindex(*shape))


def game_payoffs(cells: Cells, shape: Sequence[int], weights: Weights, axiom: int | None) -> Floats:
    """(N, n_1, ..., n_N): `payoffs_of` a full factorial, else the additive fit of the sample.

    Raises InputError as `payoffs_of` and `additive_fit`.
    """
    if not sampled(cells, shape):
        return payoffs_of(cells, shape, weights, axiom)
    check_each(cells, len(shape))
    return additive_fit(paid_at(cells, weights, axiom), shape).payoffs


def game_draws(
    cells: Cells, shape: Sequence[int], weights: Weights, axiom: int | None, how: Resampling
) -> Floats:
    """(R, N, n_1, ..., n_N): `redrawn_payoffs`, of a sample with each redraw fitted anew.

    A fit's redraws know the noise of conversations, not that the game may not be additive: read
    its held-out error. Raises InputError as `redrawn_payoffs`.
    """
    if not sampled(cells, shape):
        return redrawn_payoffs(cells, shape, weights, axiom, how)
    drawn = redrawn_at(cells, weights, axiom, how)
    joints = sorted(drawn)
    known = _columns(np.array(joints, dtype=np.int64), shape)
    every = _columns(np.array(list(np.ndindex(*shape)), dtype=np.int64), shape)
    paid = np.stack([drawn[j] for j in joints])  # (cells, R, N)
    fitted = np.tensordot(every @ np.linalg.pinv(known), paid, axes=1)
    return np.asarray(np.moveaxis(fitted, 0, -1).reshape(how.count, len(shape), *shape))


def _columns(joints: npt.NDArray[np.int64], shape: Sequence[int]) -> Floats:
    """A column of ones and one indicator per action but each agent's first."""
    parts = [np.ones((len(joints), 1))]
    parts += [np.eye(n)[joints[:, i]][:, 1:] for i, n in enumerate(shape)]
    return np.hstack(parts)
