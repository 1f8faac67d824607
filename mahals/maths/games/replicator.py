"""Replicator dynamics: which strategies withstand mutants, and where does a population drift?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import integrate, special

from mahals.maths.games.game import (
    TIE,
    TOLERANCE,
    Game,
    Profile,
    checked,
    ranges,
    regret,
    replies,
    strict,
    supports,
    unit_payoffs,
)
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError


@dataclass(frozen=True)
class Evolutionary:
    """Whether a small share of mutants of any kind dies out."""

    stable: bool
    rule: str  # the theorem that decided


def symmetric(game: Game) -> bool:
    """Whether both of two players have the same actions and B = A transposed."""
    if len(game.shape) != 2 or game.shape[0] != game.shape[1]:
        return False
    gap = np.abs(game.payoffs[1] - game.payoffs[0].T).max()
    return bool(gap <= TIE * ranges(game.payoffs).max())


def evolutionarily_stable(game: Game, profile: Sequence[npt.ArrayLike]) -> Evolutionary:
    """Whether a profile is evolutionarily stable.

    One population (a symmetric game of two players, both playing the same): by copositivity
    (Haigh 1975, Abakuks 1980). A population per player: exactly the strict pure equilibria
    (Selten 1980). Raises InputError when `profile` is not a profile of the game.
    """
    at = checked(game, profile)
    if symmetric(game) and np.abs(at[0] - at[1]).max() < TOLERANCE:
        stable = _withstands(unit_payoffs(game)[0], at[0])
        return Evolutionary(stable, "one population: Haigh's criterion")
    used = supports(at)
    pure = all(len(own) == 1 for own in used)
    stable = pure and strict(game, [own[0] for own in used])
    return Evolutionary(stable, "a population per player: strict equilibria only")


def _withstands(payoff: Floats, x: Floats) -> bool:
    """x is an equilibrium and z'Az < 0 for each way z that mutants can lead away from it.

    Ways: z = y - x, y on the best replies; free on the support, not negative outside of it.
    """
    if regret(np.stack([payoff, payoff.T]), (x, x)) > TOLERANCE:
        return False
    reply = payoff @ x
    best = [int(a) for a in np.flatnonzero(reply >= reply.max() - TOLERANCE)]
    used = [a for a in best if x[a] > TOLERANCE]
    first, rest = used[0], [a for a in best if a != used[0]]
    if not rest:
        return True
    step = np.eye(len(payoff))[rest] - np.eye(len(payoff))[first]
    form = -step @ payoff @ step.T
    form = (form + form.T) / 2
    free = [k for k, a in enumerate(rest) if a in used]
    outside = [k for k, a in enumerate(rest) if a not in used]
    inner = form[np.ix_(free, free)]
    if free and np.linalg.eigvalsh(inner).min() <= TIE:
        return False
    across = form[np.ix_(free, outside)]
    left = form[np.ix_(outside, outside)] - across.T @ np.linalg.solve(inner, across)
    return _strictly_copositive(left)


def _strictly_copositive(form: Floats) -> bool:
    """z'Fz > 0 for all z >= 0 but 0: no principal part has an eigenvector > 0 with value <= 0.

    Kaplan (2000). A subspace of equal eigenvalues is tested by its eigenvectors as given and by
    its projection of the vector of ones.
    """
    for count in range(1, len(form) + 1):
        for part in combinations(range(len(form)), count):
            value, vector = np.linalg.eigh(form[np.ix_(part, part)])
            for k in np.flatnonzero(value <= TIE):
                same = vector[:, np.abs(value - value[k]) <= TIE]
                for v in (vector[:, k], -vector[:, k], same @ same.T @ np.ones(count)):
                    if v.min() > TIE:
                        return False
    return True


@dataclass(frozen=True, eq=False)
class ReplicatorPath:
    """Where the replicator dynamics lead from a start."""

    times: Floats  # (T,), in units of 1 / the player's payoff range
    mixes: tuple[Floats, ...]  # per player (T, n_i), each row a distribution


@dataclass(frozen=True)
class Course:
    """How long and how finely a path is followed."""

    time: float
    points: int


def replicator_path(game: Game, start: Sequence[npt.ArrayLike], course: Course) -> ReplicatorPath:
    """The replicator dynamics dx_a/dt = x_a (u_a - mean u) of all players, from `start`.

    In softmax coordinates d theta_a/dt = u_a - max u with x = softmax(theta), which is the same
    flow and cannot leave the simplex. Payoffs are scaled to [0, 1] per player. Raises InputError
    for a start on the edge (an absent action never comes back) or a course that is not positive.
    """
    at = checked(game, start)
    if min(float(x.min()) for x in at) <= 0 or course.time <= 0 or course.points < 2:
        raise InputError(
            "replicator path",
            expected="a start with every action, a positive time and at least 2 points",
            got=f"least share {min(float(x.min()) for x in at):g}, {course}",
            cure="start inside the simplex",
        )
    payoffs, ends = unit_payoffs(game), np.cumsum(game.shape)[:-1]

    def mixes(theta: Floats) -> Profile:
        return tuple(np.asarray(special.softmax(part)) for part in np.split(theta, ends))

    def flow(_: float, theta: Floats) -> Floats:
        gains = replies(payoffs, mixes(theta))
        return np.concatenate([g - g.max() for g in gains])

    times = np.linspace(0.0, course.time, course.points)
    first = np.concatenate([np.log(x) for x in at])
    done = integrate.solve_ivp(
        flow, (0.0, course.time), first, method="DOP853", t_eval=times, rtol=1e-9, atol=1e-9
    )
    rows = [mixes(theta) for theta in done.y.T]
    return ReplicatorPath(
        times, tuple(np.stack([r[i] for r in rows]) for i in range(len(game.shape)))
    )
