"""Game analysis: which equilibria has a game, how sure are they, and who gains by leading?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mahals.maths.games.additive_fit import game_draws, game_payoffs
from mahals.maths.games.game import Game, Profile, exploitability, game_of, pure_equilibria, values
from mahals.maths.games.payoffs import Cells, Weights
from mahals.maths.games.replicator import Evolutionary, evolutionarily_stable
from mahals.maths.games.solvers import Search, SolverRow, mixed_equilibria
from mahals.maths.games.stability import StabilityShare, as_profile, stability_shares
from mahals.maths.games.stackelberg import Stackelberg, stackelberg
from mahals.maths.games.welfare import Potential, PriceOfAnarchy, potential_test, price_of_anarchy
from mahals.maths.stats.bootstrap import Resampling
from mahals.maths.stats.intervals import Floats
from mahals.records import InputError


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """One equilibrium."""

    kind: Literal["pure", "mixed"]
    profile: Profile
    payoffs: tuple[float, ...]  # per player, expected
    exploitability: float  # <= 1e-6, a share of the payoffs' range
    stability: StabilityShare | None  # None: no redraws were given
    evolutionary: Evolutionary


@dataclass(frozen=True, eq=False)
class Analysis:
    """One game, analysed."""

    game: Game
    points: tuple[Equilibrium, ...]  # pure ones first
    solvers: tuple[SolverRow, ...]
    complete: bool  # more than two players, and no mixed equilibrium is missing
    stackelberg: tuple[Stackelberg, ...]  # one per leader
    anarchy: PriceOfAnarchy | None  # None where no equilibrium was found
    potential: Potential


def analyse(game: Game, draws: Floats | None, how: Search) -> Analysis:
    """Everything of METHOD 6 on one game; `draws` (R, N, n_1..n_N) are its redrawn payoffs.

    Raises InputError as `mixed_equilibria` and `stability_shares`; a solver that fails is a row.
    """
    pure = [as_profile(game, joint) for joint in pure_equilibria(game)]
    mixed = mixed_equilibria(game, how)
    profiles = [*pure, *mixed.profiles]
    shares: tuple[StabilityShare | None, ...] = (None,) * len(profiles)
    if draws is not None:
        shares = stability_shares(game, profiles, draws)
    points = tuple(
        Equilibrium(
            "pure" if place < len(pure) else "mixed",
            profile,
            tuple(float(v) for v in values(game.payoffs, profile)),
            exploitability(game, profile),
            share,
            evolutionarily_stable(game, profile),
        )
        for place, (profile, share) in enumerate(zip(profiles, shares, strict=True))
    )
    return Analysis(
        game,
        points,
        mixed.solvers,
        mixed.complete,
        tuple(stackelberg(game, leader) for leader in range(len(game.players))),
        price_of_anarchy(game, profiles) if profiles else None,
        potential_test(game),
    )


@dataclass(frozen=True)
class GameLabels:
    """Who plays, what they can do, and what the axioms are called."""

    players: tuple[str, ...]
    actions: tuple[tuple[str, ...], ...]
    axioms: tuple[str, ...]


@dataclass(frozen=True)
class Effort:
    """How often payoffs are redrawn, and how mixed equilibria are looked for."""

    redraws: Resampling
    search: Search


def measured_games(
    cells: Cells, labels: GameLabels, weights: Weights, redraws: Resampling, how: Search
) -> Mapping[str, Analysis]:
    """The game of all axioms together ("all") and one game per axiom, with redrawn payoffs.

    A sample of three or more agents' joint actions is fitted (`game_payoffs`). Raises InputError
    for missing or broken cells, and where their axioms are not the labels'.
    """
    wrong = [j for j, cell in cells.items() if cell.behaviour.shape[-1] != len(labels.axioms)]
    if wrong:
        raise InputError(
            f"cell {wrong[0]}",
            expected=f"refusal gaps on {len(labels.axioms)} axioms",
            got=str(cells[wrong[0]].behaviour.shape),
            cure="measure every axiom in every conversation",
        )
    games = ((None, "all"), *enumerate(labels.axioms))
    return {
        name: measured_game(cells, labels, weights, axiom, Effort(redraws, how))
        for axiom, name in games
    }


def measured_game(
    cells: Cells,
    labels: GameLabels,
    weights: Weights,
    axiom: int | None,
    how: Effort,
) -> Analysis:
    """One game: of all axioms together (`axiom` None) or of one. Raises as `measured_games`."""
    shape = [len(own) for own in labels.actions]
    paid = game_payoffs(cells, shape, weights, axiom)
    draws = game_draws(cells, shape, weights, axiom, how.redraws)
    return analyse(game_of(paid, labels.players, labels.actions), draws, how.search)
