"""Stability: would equilibria hold if payoffs were measured again?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mahals.maths.games.game import Game, Profile, is_equilibrium, pure_profile, supports
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


def as_profile(game: Game, joint: Sequence[int]) -> Profile:
    """A pure equilibrium as a profile, to stand in one list with the mixed ones."""
    return pure_profile(game.shape, joint)
