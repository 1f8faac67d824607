"""Support enumeration: is there an equilibrium in which the players use just these actions?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from scipy import optimize

from mahals.maths.games.game import TIE, TOLERANCE, Profile, pure_profile, ranges, regret, replies
from mahals.maths.games.multilinear_roots import roots_in_cube
from mahals.maths.stats.intervals import Floats

Supports = Sequence[Sequence[int]]
LEAST = 1e-9  # the least probability of an action that is used
MOST = 2000  # supports that are looked through


@dataclass(frozen=True)
class Enumerated:
    """The equilibria in which at least one player mixes and each uses one or two actions."""

    profiles: tuple[Profile, ...]  # each of an exploitability <= 1e-6
    complete: bool  # there are no other mixed equilibria
    reason: str | None  # why there may be


def small_support_equilibria(payoffs: Floats) -> Enumerated:
    """All mixed equilibria of `payoffs` (N, n_1..n_N) in which nobody uses more than two actions.

    Of every such support the indifference equations are solved in full (`roots_in_cube`), and the
    roots kept from which nobody gains by leaving. Complete where every player has two actions and
    no support has a continuum of roots, as in generic games. Pure equilibria are not among them.
    """
    shape = payoffs.shape[1:]
    each = [[own for k in (1, 2) for own in combinations(range(n), k)] for n in shape]
    if np.prod([len(own) for own in each]) > MOST:
        return Enumerated((), False, f"more than {MOST} supports of one or two actions each")
    found: list[Profile] = []
    open_: list[Supports] = []
    for used in product(*each):
        if any(len(own) > 1 for own in used):
            some, complete = _on_small(payoffs, used)
            found += some
            open_ += [] if complete else [used]
    reason = None
    if open_:
        reason = f"on {len(open_)} supports equilibria touch or form a continuum"
    elif max(shape) > 2:
        reason = "supports of three actions and more are left out"
    return Enumerated(tuple(found), reason is None, reason)


def _on_small(payoffs: Floats, used: Supports) -> tuple[list[Profile], bool]:
    """The equilibria in which each player uses all of its one or two actions; whether all."""
    mixing = [i for i, own in enumerate(used) if len(own) == 2]
    scale = ranges(payoffs)
    gains = [_gains(payoffs[i], used, i) / scale[i] for i in mixing]
    never = any(g.min() > TIE or g.max() < -TIE for g in gains)
    if never:
        return [], True
    if any(np.abs(g).max() <= TIE for g in gains):  # who is indifferent to all that others do
        return [], _nobody_stays(payoffs, used)
    roots = roots_in_cube(np.stack(gains))
    found = []
    for point in roots.points:
        if min(point.min(), (1 - point).min()) <= LEAST:
            continue
        profile = list(pure_profile(payoffs.shape[1:], [own[0] for own in used]))
        for i, p in zip(mixing, point, strict=True):
            profile[i] = profile[i] * (1 - p)
            profile[i][used[i][1]] = p
        if regret(payoffs, tuple(profile)) <= TOLERANCE:
            found.append(tuple(profile))
    return found, roots.complete


def _gains(payoff: Floats, used: Supports, player: int) -> Floats:
    """(2, ..., 2): the player's second action less its first, at every corner of who mixes."""
    at = payoff[np.ix_(*used)]
    gain = np.take(at, [1], axis=player) - np.take(at, [0], axis=player)
    full = tuple(len(own) for own in used)
    return np.asarray(np.broadcast_to(gain, full).reshape([n for n in full if n == 2]))


def _nobody_stays(payoffs: Floats, used: Supports) -> bool:
    """Whether at every corner of the support the same player does better by an action outside.

    Then no mix over the support is an equilibrium, whatever ties there are in it.
    """
    for i, own in enumerate(used):
        across = [list(o) if j != i else list(range(n)) for j, (o, n) in enumerate(
            zip(used, payoffs.shape[1:], strict=True)
        )]  # fmt: skip
        at = np.moveaxis(payoffs[i][np.ix_(*across)], i, 0)
        for a in range(len(at)):
            if a not in own and all((at[a] > at[b] + TIE * ranges(payoffs)[i]).all() for b in own):
                return True
    return False


def on_supports(payoffs: Floats, used: Supports, start: Profile) -> Profile | None:
    """An equilibrium of `payoffs` (N, n_1..n_N) in which each player uses all of `used`, or None.

    Two players: exact, by one linear programme per player (which of all such equilibria is the one
    whose rarest action is likeliest), degenerate games too. More players: the indifference
    equations solved from `start`; where that fails and nobody uses more than two actions they are
    solved in full, so that None means there is none. With more actions it means none was found.
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
            small = max(len(own) for own in used) <= 2
            profile = next(iter(_on_small(payoffs, used)[0]), None) if small else None
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
