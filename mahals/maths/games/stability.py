"""Stability: would equilibria hold if payoffs were measured again, or weighted otherwise?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from mahals.maths.games.additive_fit import game_payoffs
from mahals.maths.games.game import Game, Profile, is_equilibrium, pure_profile, supports
from mahals.maths.games.payoffs import Cells, Weights
from mahals.maths.games.support_enumeration import on_supports
from mahals.maths.stats.intervals import Floats, Interval, wilson
from mahals.records import InputError


@dataclass(frozen=True)
class StabilityShare:
    """How often an equilibrium survives when the payoffs are redrawn."""

    share: Interval  # [0, 1], higher is better; the interval is that of the number of redraws alone
    chance: float | None  # pure: the share if all payoffs were equal noise, 1 / (n_1 ... n_N)


def stability_shares(
    game: Game, profiles: Sequence[Profile], draws: Floats
) -> tuple[StabilityShare, ...]:
    """For each profile, the share of `draws` (R, N, n_1..n_N) with an equilibrium of its supports.

    A pure equilibrium survives where it is one again, a mixed one where some equilibrium mixes
    over the same actions: of two players by linear programmes (exact), of more exactly where
    nobody uses more than two actions, else when it is found from the old one. One that needs a tie
    survives no redraw. Raises InputError for draws of another shape or that are not finite.
    """
    if draws.ndim != game.payoffs.ndim + 1 or draws.shape[1:] != game.payoffs.shape:
        raise _wrong(game, draws)
    if len(draws) < 1 or not np.isfinite(draws).all():
        raise _wrong(game, draws)
    found = []
    for profile in profiles:
        used = supports(profile)
        if all(len(own) == 1 for own in used):
            again = int(is_equilibrium(draws, [[own[0] for own in used]])[:, 0].sum())
            chance: float | None = float(1 / np.prod(game.shape))
        else:
            again = sum(on_supports(draw, used, profile) is not None for draw in draws)
            chance = None
        found.append(StabilityShare(wilson(again, len(draws)), chance))
    return tuple(found)


def _wrong(game: Game, draws: Floats) -> InputError:
    return InputError(
        "redrawn payoffs",
        expected=f"finite, (redraws, {', '.join(map(str, game.payoffs.shape))})",
        got=f"{draws.shape}, {int((~np.isfinite(draws)).sum())} not finite",
        cure="redraw the payoffs of this game (redrawn_payoffs)",
    )


@dataclass(frozen=True)
class Weighed:
    """The pure equilibria under other weights of the payoff."""

    weights: Weights
    pure: tuple[tuple[int, ...], ...]  # empty: none


def weight_sweep(
    cells: Cells, shape: Sequence[int], weights: Weights, factors: Sequence[float]
) -> tuple[Weighed, ...]:
    """Pure equilibria with the weights of homophily and of cost each times all `factors`.

    The weight of AQI stays: only the proportions matter to an equilibrium. `factors` hold 1, the
    game itself. Raises InputError as `game_payoffs`, for `factors` without 1, or with one below 0.
    """
    if 1.0 not in factors or min(factors) < 0:
        raise InputError(
            "weight factors",
            expected="numbers of at least 0, 1 among them",
            got=", ".join(f"{f:g}" for f in factors),
            cure="add 1 to the factors",
        )
    joints = [tuple(int(a) for a in j) for j in np.ndindex(*shape)]
    rows = []
    for alike, cost in product(factors, factors):
        own = replace(weights, homophily=weights.homophily * alike, cost=weights.cost * cost)
        stay = is_equilibrium(game_payoffs(cells, shape, own, None), joints)
        rows.append(Weighed(own, tuple(j for j, s in zip(joints, stay, strict=True) if s)))
    return tuple(rows)


def surviving(rows: Sequence[Weighed], joint: tuple[int, ...]) -> float:
    """The share of the swept weights under which `joint` is an equilibrium, [0, 1]."""
    return sum(joint in row.pure for row in rows) / len(rows)


def as_profile(game: Game, joint: Sequence[int]) -> Profile:
    """A pure equilibrium as a profile, to stand in one list with the mixed ones."""
    return pure_profile(game.shape, joint)
