"""Games: which ones do the rows hold, and what does each agent get beyond null directions?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mahals.maths.games.analysis import Analysis, Effort, measured_game, measured_games
from mahals.maths.games.payoffs import Cell, Joint, Weights, cell_of, payoff
from mahals.maths.stats.controls import GainOverRandom
from mahals.maths.stats.intervals import Floats
from mahals.phases.equilibrium.rows import FAMILIES, Row, Rules
from mahals.reporting.evidence import Evidence, Part
from mahals.schema import NullArm, NullFamily

ALL = "all"  # the game of all axioms together


@dataclass(frozen=True, eq=False)
class MeasuredGames:
    """The cells of the game and of every null game that is whole."""

    rules: Rules
    cells: Mapping[Joint, Cell]
    null: Mapping[NullArm, Mapping[Joint, Cell]]
    aqi: Mapping[Joint, Floats]  # (E, N, C) points, of the game itself

    @property
    def families(self) -> list[NullFamily]:
        """The families of which null games are there."""
        return list(dict.fromkeys(family for family, _ in self.null))

    def of(self, family: NullFamily) -> list[Mapping[Joint, Cell]]:
        """The cells of each null game of a family."""
        return [cells for (own, _), cells in self.null.items() if own == family]


def title(null: NullArm) -> str:
    """A null game in words."""
    return f"{null[0].replace('_', ' ')} {null[1]}"


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
    null: dict[NullArm, Mapping[Joint, Cell]] = {}
    for one in [(family, k) for family in FAMILIES for k in range(rules.draws)]:
        theirs = cells_of(table, rules, one)
        if gone := missing(rules, theirs):
            absent.append(f"no null game {title(one)}: {_lost(rules, gone)}")
        else:
            null[one] = theirs
    return GameEvidence(MeasuredGames(rules, cells, null, _aqi(table, rules)), tuple(absent))


def _lost(rules: Rules, gone: Sequence[Joint]) -> str:
    shown = ", ".join(rules.named(j) for j in gone[:3]) + (" and others" if gone[3:] else "")
    return f"{len(gone)} of {len(rules.joints)} joint actions were not measured ({shown})"


@dataclass(frozen=True, eq=False)
class Games:
    """The games, analysed."""

    own: Mapping[str, Analysis]  # "all", then one an axiom
    null: Mapping[NullArm, Analysis]  # of all axioms together


def games_of(found: MeasuredGames) -> Games:
    """Every game with its redrawn payoffs. Raises InputError for cells that are not finite."""
    rules = found.rules
    effort = Effort(rules.resampling, rules.search)
    return Games(
        measured_games(found.cells, rules.table, rules.weights, effort.redraws, effort.search),
        {
            one: measured_game(cells, rules.table, rules.weights, None, effort)
            for one, cells in found.null.items()
        },
    )


def over_null(
    found: MeasuredGames, player: int, joints: Sequence[Joint], family: NullFamily
) -> GainOverRandom | None:
    """A player's payoff, mean over `joints`, less that in the null games of one family.

    Paired by conversation, which begin alike in all games. None with fewer than two null games, or
    where nothing varies.
    """
    if not joints:
        return None
    weights = found.rules.weights
    own = spread(found.cells, joints, player, weights)
    return own.over_random([spread(c, joints, player, weights) for c in found.of(family)])


@dataclass(frozen=True)
class GainOverNulls:
    """The gain over each family of nulls, and the family over which it is least sure."""

    family: NullFamily
    gain: GainOverRandom  # the one that counts
    every: Mapping[NullFamily, GainOverRandom]


def over_nulls(found: MeasuredGames, player: int, joints: Sequence[Joint]) -> GainOverNulls | None:
    """`over_null` of every family, of which the one with the lowest lower end counts."""
    gains = {f: over_null(found, player, joints, f) for f in found.families}
    known = {f: g for f, g in gains.items() if g is not None}
    if not known:
        return None
    family = min(known, key=lambda f: known[f].interval.low)
    return GainOverNulls(family, known[family], known)


def spread(
    cells: Mapping[Joint, Cell], joints: Sequence[Joint], player: int, weights: Weights
) -> Part:
    """The payoff of a player over `joints`, with the influence of conversations on it."""
    each = [payoff(cells[j], weights, None)[:, player] for j in joints]
    return Part.mean(np.mean(each, axis=0), None)


def rules_of(table: Evidence[Row]) -> Rules | None:
    """The rules; None where the task that holds them was not measured."""
    return next((r.rules for r in table.rows if r.rules is not None), None)


def cells_of(table: Evidence[Row], rules: Rules, null: NullArm | None) -> dict[Joint, Cell]:
    """The cells of the game itself (None) or of a null game, by joint action.

    A cell in which nobody is steered belongs to all of them. A cell stands only where every agent
    was measured there.
    """
    cells = {}
    for joint, own in _seated(table, rules, null).items():
        files = [table.tensors(str(r.kept))[f"{r.cell}.refused"] for r in own]
        refused = np.stack([f.double().numpy() for f in files], axis=1)
        kl = np.array([r.kl for r in own], dtype=np.float64)
        cells[joint] = cell_of(refused, np.tile(kl, (len(refused), 1)))
    return cells


def _aqi(table: Evidence[Row], rules: Rules) -> dict[Joint, Floats]:
    found = {}
    for joint, own in _seated(table, rules, None).items():
        files = [table.tensors(str(r.kept))[f"{r.cell}.aqi"] for r in own]
        found[joint] = np.stack([f.double().numpy() for f in files], axis=1)
    return found


def _seated(table: Evidence[Row], rules: Rules, null: NullArm | None) -> dict[Joint, list[Row]]:
    """The rows of all players at each joint action where all were measured."""
    by_joint: dict[Joint, dict[str, Row]] = {}
    for row in table.where(kind="agent"):
        if row.game == (null if rules.steered(row.joint) else None):
            by_joint.setdefault(row.joint, {})[row.agent] = row
    return {
        joint: [by_agent[player] for player in rules.players]
        for joint, by_agent in by_joint.items()
        if set(by_agent) == set(rules.players)
    }


def missing(rules: Rules, cells: dict[Joint, Cell]) -> tuple[Joint, ...]:
    """The joint actions that were to be measured and have no cell."""
    return tuple(j for j in rules.joints if j not in cells)
