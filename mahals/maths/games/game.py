"""Game: who plays it, for what, and what could a player still gain by doing something else?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Floats
from mahals.records import InputError

Profile = tuple[Floats, ...]
"""One mixed strategy per player: (n_i,) probabilities that sum to 1."""

TOLERANCE = 1e-6
"""The largest exploitability of a reported equilibrium, as a share of the payoffs' range."""

TIE = 1e-9
"""Payoffs that differ by less than this share of the player's range count as equal."""


@dataclass(frozen=True, eq=False)
class Game:
    """A game in normal form; made by `game_of`, which checks it."""

    players: tuple[str, ...]
    actions: tuple[tuple[str, ...], ...]  # per player
    payoffs: Floats  # (N, n_1, ..., n_N), higher is better

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of actions of each player."""
        return tuple(self.payoffs.shape[1:])

    def names(self, joint: Sequence[int]) -> tuple[str, ...]:
        """The action names of a joint action."""
        return tuple(own[a] for own, a in zip(self.actions, joint, strict=True))


def game_of(
    payoffs: npt.ArrayLike, players: Sequence[str], actions: Sequence[Sequence[str]]
) -> Game:
    """A checked game from `payoffs` (N, n_1, ..., n_N): the payoff of each player, higher better.

    Raises InputError for fewer than two players, a player without actions or with an action named
    twice, a shape that does not follow from the names, and cells that are missing or not finite.
    """
    values = np.asarray(payoffs, dtype=np.float64)
    names = tuple(tuple(own) for own in actions)
    if len(players) < 2 or len(set(players)) != len(players) or len(names) != len(players):
        raise InputError(
            "game",
            expected="at least two players of different names, each with its list of actions",
            got=f"players {', '.join(players) or 'none'}; {len(names)} lists of actions",
            cure="name two agents or more",
        )
    for player, own in zip(players, names, strict=True):
        if not own or len(set(own)) != len(own):
            raise InputError(
                f"actions of {player}",
                expected="at least one, each named once",
                got=", ".join(own) or "none",
                cure="give the strengths that the agent can choose",
            )
    expected = (len(names), *(len(own) for own in names))
    if values.shape != expected:
        raise InputError(
            "payoffs",
            expected=f"shape {expected}",
            got=str(values.shape),
            cure="give one payoff per player and joint action",
        )
    _all_finite(values, names)
    values = values.copy()
    values.setflags(write=False)
    return Game(tuple(players), names, values)


def _all_finite(values: Floats, actions: tuple[tuple[str, ...], ...]) -> None:
    bad = np.argwhere(~np.isfinite(values).all(axis=0))
    if len(bad):
        shown = ["/".join(own[a] for own, a in zip(actions, j, strict=True)) for j in bad[:3]]
        raise InputError(
            "payoffs",
            expected="a finite payoff of every player at every joint action",
            got=f"{len(bad)} cells missing or not finite: {', '.join(shown)}",
            cure="measure these cells, or take the actions out of the game",
        )


def ranges(payoffs: Floats) -> Floats:
    """(N,) largest less smallest payoff of each player; 1 where all of them are equal."""
    flat = payoffs.reshape(len(payoffs), -1)
    span = flat.max(axis=1) - flat.min(axis=1)
    scale = np.abs(flat).max(axis=1)
    return np.where(span > 1e-12 * np.maximum(scale, 1e-300), span, 1.0)


def unit_payoffs(game: Game) -> Floats:
    """The payoffs of each player moved and scaled to [0, 1], which changes no equilibrium."""
    across = (len(game.players),) + (1,) * len(game.players)
    lowest = game.payoffs.reshape(len(game.players), -1).min(axis=1)
    return np.asarray(
        (game.payoffs - lowest.reshape(across)) / ranges(game.payoffs).reshape(across)
    )


def replies(payoffs: Floats, profile: Profile) -> tuple[Floats, ...]:
    """Per player, (n_i,) expected payoff of each own action while the others play `profile`."""
    found = []
    for i in range(len(profile)):
        value = payoffs[i]
        for j in reversed(range(len(profile))):
            if j != i:
                value = np.tensordot(value, profile[j], axes=(j, 0))
        found.append(np.asarray(value))
    return tuple(found)


def values(payoffs: Floats, profile: Profile) -> Floats:
    """(N,) expected payoff of each player."""
    return np.array([r @ x for r, x in zip(replies(payoffs, profile), profile, strict=True)])


def regret(payoffs: Floats, profile: Profile) -> float:
    """The most that one player gains by another action alone, as a share of its payoffs' range."""
    best = np.array([r.max() for r in replies(payoffs, profile)])
    return float(max(0.0, ((best - values(payoffs, profile)) / ranges(payoffs)).max()))


def exploitability(game: Game, profile: Sequence[npt.ArrayLike]) -> float:
    """The largest gain of a player who alone leaves `profile`, as a share of its payoffs' range.

    In [0, 1], 0 at an equilibrium, lower is better; unchanged by affine payoffs. Raises InputError
    when `profile` is not one probability distribution per player.
    """
    return regret(game.payoffs, checked(game, profile))


def checked(game: Game, profile: Sequence[npt.ArrayLike]) -> Profile:
    """`profile` as arrays. Raises InputError unless each is a distribution over own actions."""
    found = tuple(np.asarray(x, dtype=np.float64) for x in profile)
    right = len(found) == len(game.shape) and all(
        x.shape == (n,) and np.isfinite(x).all() and x.min() >= -1e-9 and abs(x.sum() - 1) < 1e-6
        for x, n in zip(found, game.shape, strict=False)
    )
    if not right:
        raise InputError(
            "profile",
            expected=f"probabilities over {', '.join(map(str, game.shape))} actions",
            got="; ".join(str(np.round(x, 6).tolist()) for x in found) or "nothing",
            cure="give each player one probability per action, summing to 1",
        )
    return found


def pure_profile(shape: Sequence[int], joint: Sequence[int]) -> Profile:
    """The profile in which each player surely takes its action of `joint`."""
    return tuple(np.eye(n)[a] for n, a in zip(shape, joint, strict=True))


def supports(profile: Profile, above: float = 1e-6) -> tuple[tuple[int, ...], ...]:
    """Per player, the actions taken with a probability above `above`."""
    return tuple(tuple(int(a) for a in np.flatnonzero(x > above)) for x in profile)


def is_equilibrium(payoffs: Floats, joints: Sequence[Sequence[int]]) -> npt.NDArray[np.bool_]:
    """(..., J) whether no player gains at each of J joint actions; `payoffs` (..., N, n_1..n_N).

    The leading axes are redraws of one game. Gains below `TIE` of the range count as none.
    """
    players = payoffs.shape[-len(joints[0]) - 1] if len(joints) else 0
    lead = payoffs.ndim - players - 1
    flat = payoffs.reshape(*payoffs.shape[: lead + 1], -1)
    slack = TIE * np.maximum(flat.max(axis=-1) - flat.min(axis=-1), 1e-300)
    stay = np.ones((*payoffs.shape[:lead], len(joints)), dtype=np.bool_)
    for place, joint in enumerate(joints):
        for i in range(players):
            at: list[int | slice] = list(joint)
            at[i] = slice(None)
            own = payoffs[(..., i, *at)]
            stay[..., place] &= own.max(axis=-1) - own[..., joint[i]] <= slack[..., i]
    return stay


def pure_equilibria(game: Game) -> tuple[tuple[int, ...], ...]:
    """All joint actions from which no player gains by leaving alone, in order of actions.

    By enumeration. Gains below a billionth of the player's payoff range count as none.
    """
    joints = [tuple(int(a) for a in j) for j in np.ndindex(*game.shape)]
    stay = is_equilibrium(game.payoffs, joints)
    return tuple(joint for joint, good in zip(joints, stay, strict=True) if good)


def strict(game: Game, joint: Sequence[int]) -> bool:
    """Whether every player loses by leaving the joint action alone."""
    stay = replies(unit_payoffs(game), pure_profile(game.shape, joint))
    return all(
        bool((np.delete(own, a) < own[a] - TIE).all()) for own, a in zip(stay, joint, strict=True)
    )
