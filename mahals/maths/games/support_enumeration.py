"""Support enumeration: is there an equilibrium in which the players use just these actions?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import optimize

from mahals.maths.games.game import TOLERANCE, Profile, pure_profile, ranges, regret, replies
from mahals.maths.stats.intervals import Floats

Supports = Sequence[Sequence[int]]
LEAST = 1e-9  # the least probability of an action that is used


def on_supports(payoffs: Floats, used: Supports, start: Profile) -> Profile | None:
    """An equilibrium of `payoffs` (N, n_1..n_N) in which each player uses all of `used`, or None.

    Two players: exact, by one linear programme per player (which of all such equilibria is the one
    whose rarest action is likeliest), degenerate games too. More players: the indifference
    equations solved from `start`, so None means none was found from there.
    """
    across = (len(used),) + (1,) * len(used)
    scaled = payoffs / ranges(payoffs).reshape(across)
    if all(len(own) == 1 for own in used):
        profile: Profile | None = pure_profile(payoffs.shape[1:], [own[0] for own in used])
    elif len(used) == 2:
        profile = _two(scaled, used)
    else:
        profile = _many(scaled, used, start)
    if profile is None or regret(payoffs, profile) > TOLERANCE:
        return None
    return profile


def _two(payoffs: Floats, used: Supports) -> Profile | None:
    """Row's mix makes column indifferent over its used actions, and the other way round."""
    column = _mix(payoffs[0], used[0], used[1])
    row = _mix(payoffs[1].T, used[1], used[0])
    return None if row is None or column is None else (row, column)


def _mix(payoff: Floats, own: Sequence[int], other: Sequence[int]) -> Floats | None:
    """The other's mix over `other` under which all of `own` are best replies (payoff own x other).

    Variables: the mix, the value v of the own best reply, the least probability t (maximised).
    """
    wide = len(other)
    rest = [a for a in range(len(payoff)) if a not in set(own)]
    same = np.hstack([payoff[np.ix_(own, other)], -np.ones((len(own), 1)), np.zeros((len(own), 1))])
    whole = np.r_[np.ones(wide), 0.0, 0.0]
    worse = np.hstack(
        [payoff[np.ix_(rest, other)], -np.ones((len(rest), 1)), np.zeros((len(rest), 1))]
    )
    least = np.hstack([-np.eye(wide), np.zeros((wide, 1)), np.ones((wide, 1))])
    found = optimize.linprog(
        np.r_[np.zeros(wide + 1), -1.0],
        A_ub=np.vstack([worse, least]),
        b_ub=np.zeros(len(rest) + wide),
        A_eq=np.vstack([same, whole]),
        b_eq=np.r_[np.zeros(len(own)), 1.0],
        bounds=[(0, None)] * wide + [(None, None), (0, 1)],
        method="highs",
    )
    if not found.success or found.x[-1] <= LEAST:
        return None
    mix = np.zeros(payoff.shape[1])
    mix[list(other)] = found.x[:wide]
    return np.asarray(mix / mix.sum())


def _many(payoffs: Floats, used: Supports, start: Profile) -> Profile | None:
    """Newton's method (Powell's hybrid) on: every used action pays v_i, each mix sums to 1."""
    ends = np.cumsum([len(own) for own in used])
    total = int(ends[-1])

    def unpack(z: Floats) -> Profile:
        mixes = []
        for own, n, part in zip(
            used, payoffs.shape[1:], np.split(z[:total], ends[:-1]), strict=True
        ):
            mix = np.zeros(n)
            mix[list(own)] = part
            mixes.append(mix)
        return tuple(mixes)

    def equations(z: Floats) -> Floats:
        profile = unpack(z)
        gains = [
            reply[list(own)] - value
            for reply, own, value in zip(replies(payoffs, profile), used, z[total:], strict=True)
        ]
        return np.concatenate([*gains, [mix.sum() - 1 for mix in profile]])

    first = [np.maximum(x[list(own)], 1e-3) for x, own in zip(start, used, strict=True)]
    mixes = [f / f.sum() for f in first]
    worth = [float(r.max()) for r in replies(payoffs, unpack(np.concatenate([*mixes, [0.0]])))]
    found = optimize.root(equations, np.concatenate([*mixes, worth]), method="hybr", tol=1e-12)
    if not np.isfinite(found.x).all() or np.abs(equations(found.x)).max() > 1e-9:
        return None
    if found.x[:total].min() <= LEAST:
        return None
    return tuple(mix / mix.sum() for mix in unpack(found.x))
