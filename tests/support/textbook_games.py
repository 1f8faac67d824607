"""Games with known answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mahals.maths.games.game import Game, game_of, supports
from mahals.maths.games.solver_process import solve
from mahals.maths.games.solvers import Search, _polished


def game(payoffs: object) -> Game:
    """A game whose players are A, B, ... and whose actions are a0, a1, ..."""
    values = np.asarray(payoffs, dtype=float)
    return game_of(
        values, "ABCDEF"[: len(values)], [[f"a{k}" for k in range(n)] for n in values.shape[1:]]
    )


def both(first: Sequence[Sequence[float]]) -> Game:
    """The symmetric game of two players with the first one's payoffs."""
    own = np.array(first, dtype=float)
    return game(np.stack([own, own.T]))


PRISONERS = both([[3, 0], [5, 1]])
PENNIES = game([[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]])
SEXES = game([[[2, 0], [0, 1]], [[1, 0], [0, 2]]])
STAG = both([[4, 1], [3, 2]])
ROCK_PAPER_SCISSORS = both([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
HAWK_DOVE = both([[-1, 4], [0, 2]])  # value 4, cost 6: hawks are V/C = 2/3
DEGENERATE = game([[[1, 1], [1, 0]], [[1, 1], [0, 1]]])
COST = 0.25


def volunteers() -> Game:
    """Three volunteers' dilemma: 1 to all if anyone volunteers (action 1), at a cost of 1/4."""
    paid = np.zeros((3, 2, 2, 2))
    for joint in np.ndindex(2, 2, 2):
        for i in range(3):
            paid[(i, *joint)] = float(any(joint)) - COST * joint[i]
    return game(paid)


def threshold_goods(cost: float) -> Game:
    """Three players: 1 to all where two or more contribute (action 1), each at its own cost."""
    paid = np.zeros((3, 2, 2, 2))
    for joint in np.ndindex(2, 2, 2):
        for i in range(3):
            paid[(i, *joint)] = float(sum(joint) >= 2) - cost * joint[i]
    return game(paid)


def cournot() -> Game:
    """Two firms at price max(0, 12 - total), no cost: the first chooses 0, 2, .. 12, the second
    0, 1, .. 12, so that the second's best reply is a choice and the only one."""
    first, second = np.meshgrid(np.arange(0.0, 13.0, 2.0), np.arange(13.0), indexing="ij")
    price = np.maximum(0.0, 12 - first - second)
    return game([first * price, second * price])


HOW = Search(seconds=300.0, starts=12, seed=0, gambit=False)


def mixed(of, name: str = "nashpy.support_enumeration") -> list:
    """The properly mixed equilibria by one solver, asked in this process."""
    pytest.importorskip(name.split(".")[0])
    from mahals.maths.games.game import unit_payoffs
    from mahals.maths.games.solvers import distinct

    payoffs = unit_payoffs(of)
    found = [_polished(payoffs, given) for given in solve(name, payoffs, 12, 0)]
    kept = distinct([p for p in found if p is not None])
    return [p for p in kept if any(len(own) > 1 for own in supports(p))]


small = st.tuples(st.integers(1, 3), st.integers(1, 3))
tables = small.flatmap(
    lambda s: arrays(np.int64, (2, *s), elements=st.integers(-4, 4)).map(lambda a: a.astype(float))
)
calm = settings(
    max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
