"""Solver process: what do the libraries of game theory say?

It runs in a process of its own: JSON in, JSON out.

As a script it imports nothing of the package but this file, which would take longer than solving.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mahals.maths.stats.intervals import Floats

Found = list[list[list[float]]]
ANSWER = "mahals-answer "  # how a line of an answer begins


def solve(name: str, payoffs: Floats, starts: int, seed: int) -> Found:
    """The profiles that the solver `name` gives for `payoffs` (N, n_1..n_N), unchecked.

    `starts` and `seed` say from where QuantEcon's solver starts. Raises KeyError for an unknown
    solver, ModuleNotFoundError where its library is missing, and what the library raises.
    """
    table: dict[str, Callable[[], Found]] = {
        "nashpy.support_enumeration": lambda: _nashpy(payoffs, "support_enumeration"),
        "nashpy.vertex_enumeration": lambda: _nashpy(payoffs, "vertex_enumeration"),
        "quantecon.mclennan_tourky": lambda: _quantecon(payoffs, starts, seed),
        "pygambit.logit_solve": lambda: _pygambit(payoffs),
    }
    return table[name]()


def _nashpy(payoffs: Floats, method: str) -> Found:
    import nashpy

    game = nashpy.Game(payoffs[0], payoffs[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nashpy warns where it saw a degenerate game
        pairs = list(getattr(game, method)())
    return [[np.asarray(x, dtype=np.float64).tolist() for x in pair] for pair in pairs]


def _quantecon(payoffs: Floats, starts: int, seed: int) -> Found:
    """McLennan and Tourky's imitation games (2006), from pure and from random mixed starts."""
    from quantecon.game_theory import NormalFormGame, mclennan_tourky

    shape, rng = payoffs.shape[1:], np.random.default_rng(seed)
    game = NormalFormGame(np.moveaxis(payoffs, 0, -1).copy())
    first: list[Any] = [[np.full(n, 1 / n) for n in shape]]
    joints = [tuple(map(int, j)) for j in np.ndindex(*shape)]
    first += [joints[k] for k in rng.permutation(len(joints))[: starts // 2]]
    while len(first) < starts:
        first.append([rng.dirichlet(np.ones(n)) for n in shape])
    found = [mclennan_tourky(game, init=s, epsilon=1e-4, max_iter=200) for s in first[:starts]]
    return [[np.asarray(x, dtype=np.float64).tolist() for x in profile] for profile in found]


def _pygambit(payoffs: Floats) -> Found:
    """The limit of the principal branch of logit equilibria (Turocy 2005): one profile."""
    import pygambit

    game = pygambit.Game.from_arrays(*payoffs)
    points = pygambit.nash.logit_solve(game).equilibria
    return [[[float(p[s]) for s in player.strategies] for player in game.players] for p in points]


def main() -> None:
    """Reads one task from stdin and writes a line of JSON to stdout after each solver."""
    task = json.load(sys.stdin)
    payoffs = np.array(task["payoffs"], dtype=np.float64)
    for name in task["solvers"]:
        found = solve(name, payoffs, task["starts"], task["seed"])
        sys.stdout.write(f"\n{ANSWER}{json.dumps(found)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
