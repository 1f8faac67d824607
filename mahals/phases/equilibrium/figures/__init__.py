"""Figures of equilibrium: what do payoffs, gains over random, stability and dynamics look like?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mahals.maths.games.additive_fit import game_payoffs
from mahals.maths.games.analysis import Analysis, analyse
from mahals.maths.games.game import Game, game_of
from mahals.maths.games.replicator import ReplicatorPath, replicator_path
from mahals.phase import Kept
from mahals.phases.equilibrium.figures.charts import (
    payoff_heatmaps,
    portraits,
    simplex_portrait,
    stability_bars,
)
from mahals.phases.equilibrium.report import COURSE, path_from_the_middle
from mahals.phases.equilibrium.report.games import (
    ALL,
    Games,
    MeasuredGames,
    games_of,
    over_nulls,
    read,
    title,
)
from mahals.phases.equilibrium.rows import Row
from mahals.records import seed_of
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.sheet import Estimates as Bars
from mahals.reporting.plots.sheet import Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PATHS = 6  # replicator paths: one from the middle, the others from drawn starts
PANELS = 12  # payoff panels that one figure holds


def _weighed(found: MeasuredGames) -> str:
    w = found.rules.weights
    return (
        f"Payoff: {w.behaviour:g} refusal gap + {w.homophily:g} homophily "
        f"- {w.cost:g} KL/{w.kl_ceiling:g}. "
        f"Mean of {found.rules.conversations} conversations a cell."
    )


def _payoffs(found: MeasuredGames, own: Analysis) -> dict[str, Figure]:
    """The game's payoffs, and the mean payoffs of the null games of each family."""
    shape = own.game.shape
    if int(np.prod(shape[2:])) * len(shape) > PANELS:
        return {}
    words = "Payoffs of every joint action"
    labels = Labels(
        words, "payoff", f"{_weighed(found)} Shares of redraws: see stability.", "higher"
    )
    drawn = {"payoffs": payoff_heatmaps(own.game, own.points, labels)}
    for family in found.families:
        each = [game_payoffs(c, shape, found.rules.weights, None) for c in found.of(family)]
        game = game_of(np.mean(each, axis=0), own.game.players, own.game.actions)
        pure = analyse(game, None, found.rules.search).points
        words = f"Payoffs along null directions ({family.replace('_', ' ')}), {len(each)} games"
        labels = Labels(words, "payoff", f"{_weighed(found)} Mean of the games.", "higher")
        drawn[f"payoffs_{family}"] = payoff_heatmaps(game, pure, labels)
    return drawn


def _over_random(found: MeasuredGames) -> dict[str, Figure]:
    """Every agent's payoff over the harder family of nulls, at each steered joint action."""
    rules = found.rules
    joints = [j for j in rules.joints if rules.steered(j)]
    if len(found.null) < 2 or not joints:
        return {}
    series = {}
    for i, player in enumerate(rules.players):
        gains = [over_nulls(found, i, [j]) for j in joints]
        each = [None if g is None else g.gain.interval for g in gains]
        series[player] = Bars(
            [None if x is None else x.estimate for x in each],
            [None if x is None else x.low for x in each],
            [None if x is None else x.high for x in each],
            [None if x is not None else "all null games pay the same" for x in each],
        )
    labels = Labels(
        "Payoff over null directions of equal KL, the harder family",
        "difference of payoffs",
        f"95 % intervals over {rules.draws} null games a family and {rules.conversations} "
        f"conversations, none corrected for their number. Actions of {' / '.join(rules.players)}.",
        better="higher",
    )
    return {"over_random": grouped_bars([rules.named(j) for j in joints], series, labels)}


def _stability(games: Games) -> dict[str, Figure]:
    every = {**games.own, **{title(k): g for k, g in games.null.items()}}
    every = {name.replace("_", " "): g for name, g in every.items() if g.points}
    if not every:
        return {}
    labels = Labels(
        "How often each equilibrium is one again",
        "share of redrawn payoffs",
        "Intervals are those of the number of redraws alone. The game of all axioms, of "
        "each axiom, and of null directions.",
        better="higher",
    )
    return {"stability": stability_bars(every, labels)}


def _portrait(found: MeasuredGames, game: Game) -> Figure:
    """Best replies and flow of the game that is left with each agent's first and last action."""
    keep = [[0, n - 1] for n in game.shape]
    paid = game.payoffs[np.ix_(range(2), *keep)]
    names = [[own[a] for a in kept] for own, kept in zip(game.actions, keep, strict=True)]
    small = game_of(paid, game.players, names)
    points = analyse(small, None, found.rules.search).points
    rest = " The other actions are left out." if max(game.shape) > 2 else ""
    labels = Labels("First against last action", "share", _weighed(found) + rest)
    return portraits(small, points, _paths(small), labels)


def _replicator(own: Analysis) -> Figure:
    labels = Labels(
        "Replicator dynamics",
        "share",
        "Each corner is one action alone. One path starts from equal shares.",
    )
    paths = [path_from_the_middle(own), *_paths(own.game)[1:]]
    return simplex_portrait(own.game, own.points, paths, labels)


def _paths(game: Game) -> list[ReplicatorPath]:
    """Paths from the middle and from starts drawn evenly, the same for the same players."""
    rng = np.random.default_rng(seed_of("starts", list(game.players)))
    starts = [[np.full(n, 1 / n) for n in game.shape]]
    starts += [[rng.dirichlet(np.full(n, 2.0)) for n in game.shape] for _ in range(PATHS - 1)]
    return [replicator_path(game, start, COURSE) for start in starts]


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """payoffs, payoffs_<family>, over_random, stability, portrait, replicator; or none at all."""
    measured = read(Evidence(rows, kept)).measured
    if measured is None:
        return {}
    games = games_of(measured)
    own = games.own[ALL]
    figures = _payoffs(measured, own) | _over_random(measured) | _stability(games)
    if len(own.game.shape) == 2 and min(own.game.shape) > 1:
        figures["portrait"] = _portrait(measured, own.game)
    if set(own.game.shape) == {3}:
        figures["replicator"] = _replicator(own)
    return figures
