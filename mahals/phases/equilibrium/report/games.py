"""Games: which ones do the rows hold, and what does each agent get beyond random directions?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mahals.maths.games.analysis import Analysis, Effort, measured_game, measured_games
from mahals.maths.games.payoffs import Cell, Joint, Weights, payoff
from mahals.maths.stats.controls import GainOverRandom, gain_over_random
from mahals.maths.stats.intervals import Floats
from mahals.phases.equilibrium.rows import Row, Rules
from mahals.reporting.evidence import Evidence, Part

ALL = "all"  # the game of the mean AQI


@dataclass(frozen=True, eq=False)
class MeasuredGames:
    """The cells of the game and of every random game that is whole."""

    rules: Rules
    cells: Mapping[Joint, Cell]
    random: Mapping[int, Mapping[Joint, Cell]]  # by draw


@dataclass(frozen=True, eq=False)
class GameEvidence:
    """What rows hold: the measured cells, or None, and why anything is absent."""

    measured: MeasuredGames | None
    absent: tuple[str, ...]  # one sentence each


def read(table: Evidence[Row]) -> GameEvidence:
    """The cells of rows. A game is absent unless each joint action of the design was measured."""
    rules = rules_of(table)
    absent = [f"{r.reason}" for r in table.where(kind="missed")]
    if rules is None:
        return GameEvidence(None, (*absent, "no game: the rules were not measured"))
    cells = cells_of(table, rules, None)
    if gone := missing(rules, cells):
        return GameEvidence(None, (*absent, f"no game: {_lost(rules, gone)}"))
    random = {}
    for draw in range(rules.draws):
        theirs = cells_of(table, rules, draw)
        if gone := missing(rules, theirs):
            absent.append(f"no random game {draw}: {_lost(rules, gone)}")
        else:
            random[draw] = theirs
    return GameEvidence(MeasuredGames(rules, cells, random), tuple(absent))


def _lost(rules: Rules, gone: Sequence[Joint]) -> str:
    shown = ", ".join(rules.named(j) for j in gone[:3]) + (" and others" if gone[3:] else "")
    return f"{len(gone)} of {len(rules.joints)} joint actions were not measured ({shown})"


@dataclass(frozen=True, eq=False)
class Games:
    """The games, analysed."""

    own: Mapping[str, Analysis]  # "all", then one an axiom
    random: Mapping[int, Analysis]  # by draw, of the mean AQI


def games_of(found: MeasuredGames) -> Games:
    """Every game with its redrawn payoffs. Raises InputError for cells that are not finite."""
    rules = found.rules
    effort = Effort(rules.resampling, rules.search)
    return Games(
        measured_games(found.cells, rules.table, rules.weights, effort.redraws, effort.search),
        {
            draw: measured_game(cells, rules.table, rules.weights, None, effort)
            for draw, cells in found.random.items()
        },
    )


def over_random(
    found: MeasuredGames, player: int, joints: Sequence[Joint]
) -> GainOverRandom | None:
    """A player's payoff, mean over `joints`, less that in the random games.

    Paired by conversation, which begin alike in all games. None with fewer than two random games,
    or where all payoffs of random games are the same.
    """
    if len(found.random) < 2 or not joints:
        return None
    weights = found.rules.weights
    own = spread(found.cells, joints, player, weights)
    random = [spread(cells, joints, player, weights) for cells in found.random.values()]
    means = [each.estimate for each in random]
    if len(set(means)) < 2:
        return None
    influences = [each.influence for each in random]
    return gain_over_random(own.estimate, own.influence, means, influences, None)


def spread(
    cells: Mapping[Joint, Cell], joints: Sequence[Joint], player: int, weights: Weights
) -> Part:
    """The payoff of a player over `joints`, with the influence of conversations on it."""
    payoffs = [_one(cells[j], weights)[player] for j in joints]
    each = [_influences(cells[j], weights)[player] for j in joints]
    return Part(float(np.mean(payoffs)), np.mean(each, axis=0), None)


def _one(cell: Cell, weights: Weights) -> Floats:
    return payoff(cell.aqi.mean(axis=0), cell.kl.mean(axis=0), weights)


def _influences(cell: Cell, weights: Weights) -> Floats:
    """(N, E): (E - 1) (mean of the payoffs with one conversation left out - that one)."""
    count = len(cell.aqi)
    aqi = (cell.aqi.sum(axis=0) - cell.aqi) / (count - 1)
    kl = (cell.kl.sum(axis=0) - cell.kl) / (count - 1)
    left = payoff(aqi, kl, weights).T
    return np.asarray((count - 1) * (left.mean(axis=1, keepdims=True) - left))


def rules_of(table: Evidence[Row]) -> Rules | None:
    """The rules; None where the task that holds them was not measured."""
    return next((r.rules for r in table.rows if r.rules is not None), None)


def cells_of(table: Evidence[Row], rules: Rules, draw: int | None) -> dict[Joint, Cell]:
    """The cells of the game itself (None) or of a random game, by joint action.

    A cell in which nobody is steered belongs to all of them. A cell stands only where every agent
    was measured there.
    """
    by_joint: dict[Joint, dict[str, Row]] = {}
    for row in table.where(kind="agent"):
        if row.draw == (draw if rules.steered(row.joint) else None):
            by_joint.setdefault(row.joint, {})[row.agent] = row
    cells = {}
    for joint, by_agent in by_joint.items():
        if set(by_agent) != set(rules.players):
            continue
        own = [by_agent[player] for player in rules.players]
        aqi = [table.tensors(str(r.kept))[str(r.cell)].double().numpy() for r in own]
        kl = np.array([r.kl for r in own], dtype=np.float64)
        points = np.stack(aqi, axis=1)
        cells[joint] = Cell(points, np.tile(kl, (len(points), 1)))
    return cells


def missing(rules: Rules, cells: dict[Joint, Cell]) -> tuple[Joint, ...]:
    """The joint actions that were to be measured and have no cell."""
    return tuple(j for j in rules.joints if j not in cells)
