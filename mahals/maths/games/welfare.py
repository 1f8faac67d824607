"""Welfare: what does selfish play cost the agents together, and have they a common interest?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from mahals.maths.games.game import TIE, Game, Profile, ranges, values
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PriceOfAnarchy:
    """The best joint action against the equilibria, in the sum of all payoffs."""

    best: tuple[int, ...]  # the joint action with the largest sum
    optimum: float  # that sum
    worst_equilibrium: float
    best_equilibrium: float
    gap: float  # optimum - worst equilibrium, >= 0, lower is better, in units of the payoffs
    anarchy: float | None  # optimum / worst equilibrium, >= 1, lower is better
    stability: float | None  # optimum / best equilibrium, >= 1
    reason: str | None  # why a ratio is absent


def price_of_anarchy(game: Game, equilibria: Sequence[Profile]) -> PriceOfAnarchy:
    """Price of anarchy (Koutsoupias and Papadimitriou 1999) over the equilibria given.

    The ratios mean something only for sums above 0, and change when a constant is added to the
    payoffs: where an equilibrium's sum is not above 0 its ratio is absent; the gap never is.
    Raises InputError without equilibria.
    """
    if not equilibria:
        raise InputError(
            "price of anarchy",
            expected="at least one equilibrium",
            got="none",
            cure="leave the row absent, with the solvers' reasons",
        )
    sums = game.payoffs.sum(axis=0)
    best = tuple(int(a) for a in np.unravel_index(int(sums.argmax()), sums.shape))
    optimum = float(sums[best])
    worth = [float(values(game.payoffs, profile).sum()) for profile in equilibria]
    low, high = min(worth), max(worth)
    return PriceOfAnarchy(
        best=best,
        optimum=optimum,
        worst_equilibrium=low,
        best_equilibrium=high,
        gap=max(0.0, optimum - low),
        anarchy=optimum / low if low > 0 else None,
        stability=optimum / high if high > 0 else None,
        reason=None if low > 0 else f"the worst equilibrium's sum is {low:g}, not above 0",
    )


@dataclass(frozen=True, eq=False)
class Potential:
    """Whether one function of the joint action says what every player gains by moving alone."""

    exact: bool
    distance: float  # [0, 1]: share of the moves' gains that no potential explains; 0 is exact
    potential: Floats  # (n_1, ..., n_N), least squares, mean 0, in units of the payoffs
    improvement_ends: bool  # no cycle of strict single improvements: it ends in an equilibrium


def potential_test(game: Game) -> Potential:
    """Exact potential test (Monderer and Shapley 1996), with the nearest potential.

    The potential fits the gains of all moves of one player alone by least squares (Candogan and
    others 2011); `distance` is residual over total sum of squares, 0 also where nobody ever
    gains. `improvement_ends` is the finite improvement property, which a potential implies.
    """
    states = np.arange(int(np.prod(game.shape))).reshape(game.shape)
    tails, heads, gains, clear = [], [], [], []
    for i, n in enumerate(game.shape):
        flat = np.moveaxis(states, i, 0).reshape(n, -1)
        paid = np.moveaxis(game.payoffs[i], i, 0).reshape(n, -1)
        for a in range(n):
            for b in range(a + 1, n):
                tails.append(flat[a])
                heads.append(flat[b])
                gains.append(paid[b] - paid[a])
                clear.append(np.abs(gains[-1]) > TIE * ranges(game.payoffs)[i])
    if not gains:
        return Potential(True, 0.0, np.zeros(game.shape), True)
    tail, head, gain = (np.concatenate(part) for part in (tails, heads, gains))
    moves = np.zeros((len(gain), states.size))
    moves[np.arange(len(gain)), head] = 1.0
    moves[np.arange(len(gain)), tail] = -1.0
    found = np.linalg.lstsq(moves, gain, rcond=None)[0]
    total = float(gain @ gain)
    left = float(np.square(gain - moves @ found).sum())
    distance = min(1.0, left / total) if total > 0 else 0.0
    return Potential(
        exact=distance <= 1e-12,
        distance=distance,
        potential=(found - found.mean()).reshape(game.shape),
        improvement_ends=_ends(tail, head, np.where(np.concatenate(clear), gain, 0.0)),
    )


def _ends(tail: Ints, head: Ints, gain: Floats) -> bool:
    """Whether the graph of strict improvements has no cycle."""
    up, down = gain > 0, gain < 0
    origin = np.concatenate([tail[up], head[down]])
    to = np.concatenate([head[up], tail[down]])
    states = int(max(tail.max(), head.max())) + 1
    graph = coo_matrix((np.ones(len(origin)), (origin, to)), shape=(states, states))
    parts, _ = connected_components(graph, directed=True, connection="strong")
    return bool(parts == states)
