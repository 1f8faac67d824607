"""Stackelberg leadership: what does an agent gain by moving first?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mahals.maths.games.game import TIE, Game, game_of, pure_equilibria, unit_payoffs


@dataclass(frozen=True)
class Stackelberg:
    """One leader's best commitment to a pure action, and what all players then get.

    `strong`: among equally good replies the followers take the one that the leader likes best,
    `weak`: the one it likes least. They agree where each reply is the only best one.
    """

    leader: str
    strong: tuple[int, ...] | None  # joint action; None with a reason
    strong_payoffs: tuple[float, ...]  # per player, in units of the payoffs
    weak: tuple[int, ...] | None
    weak_payoffs: tuple[float, ...]
    reason: str | None


def stackelberg(game: Game, leader: int) -> Stackelberg:
    """The outcome when player `leader` commits to a pure action and the others see it.

    One follower replies with a best response. Several followers play a pure equilibrium of the
    game that the commitment leaves them; a commitment after which they have none is left out, and
    with none left the outcome is absent. Commitment to pure actions only (von Stackelberg 1934).
    """
    scaled = unit_payoffs(game)[leader]
    strong: list[tuple[float, tuple[int, ...]]] = []
    weak: list[tuple[float, tuple[int, ...]]] = []
    for action in range(game.shape[leader]):
        ends = _followers(game, leader, action)
        if ends:
            worth = [(float(scaled[end]), end) for end in ends]
            strong.append(max(worth, key=lambda w: w[0]))
            weak.append(min(worth, key=lambda w: w[0]))
    name = game.players[leader]
    if not strong:
        return Stackelberg(
            name, None, (), None, (), "after no commitment do the others have a pure equilibrium"
        )
    best, safe = max(strong, key=lambda w: w[0])[1], max(weak, key=lambda w: w[0])[1]
    return Stackelberg(name, best, _paid(game, best), safe, _paid(game, safe), None)


def _paid(game: Game, joint: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(float(own[joint]) for own in game.payoffs)


def _followers(game: Game, leader: int, action: int) -> list[tuple[int, ...]]:
    """The joint actions in which the others answer the leader's action as an equilibrium."""
    others = [i for i in range(len(game.players)) if i != leader]
    left = np.take(game.payoffs[others], action, axis=leader + 1)
    if len(others) == 1:
        best = np.flatnonzero(left[0] >= left[0].max() - TIE * max(np.ptp(left[0]), 1e-300))
        replies: list[tuple[int, ...]] = [(int(a),) for a in best]
    else:
        rest = game_of(left, [game.players[i] for i in others], [game.actions[i] for i in others])
        replies = list(pure_equilibria(rest))
    return [(*reply[:leader], action, *reply[leader:]) for reply in replies]
