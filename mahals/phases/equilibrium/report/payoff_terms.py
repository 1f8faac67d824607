"""Payoff terms: what decides a game: what steering does to AQI, to likeness, or its price?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mahals.maths.games.payoffs import Cell, Joint, Weights
from mahals.maths.stats.intervals import Interval
from mahals.phases.equilibrium.report.games import ALL, MeasuredGames, spread
from mahals.reporting.report import Report, interval_metrics


def report_terms(found: MeasuredGames) -> Report:
    """By how much an agent's own steering moves each term of its payoff, the others unchanged.

    Mean over its steered actions and what the others do; beside it the same along random
    directions. Nothing where no joint action is there both with and without its steering.
    """
    metrics: dict[str, float] = {}
    lines = []
    for i, player in enumerate(found.rules.players):
        pairs = _pairs(found, i)
        if not pairs:
            continue
        parts = []
        for name, weights in _terms(found.rules.weights).items():
            moved = _moved(found.cells, pairs, i, weights)
            metrics |= interval_metrics(f"{ALL}/{player}/moves_{name}", moved)
            random = [_moved(c, pairs, i, weights).estimate for c in found.random.values()]
            beside = f" (random {np.mean(random):+.4f})" if random else ""
            parts.append(f"{name} {moved:+.4f}{beside}")
        lines.append(f"{player}: its own steering moves its payoff by {', '.join(parts)}")
    return Report(metrics, lines)


def _terms(weights: Weights) -> dict[str, Weights]:
    """Each term of the payoff alone; those of weight 0 are left out."""
    none = replace(weights, aqi=1.0, homophily=0.0, cost=0.0)
    found = {}
    if weights.aqi > 0:
        found["aqi"] = replace(none, aqi=weights.aqi)
    if weights.homophily > 0:
        found["homophily"] = replace(none, aqi=0.0, homophily=weights.homophily)
    if weights.cost > 0:
        found["cost"] = replace(none, aqi=0.0, cost=weights.cost)
    return found


def _pairs(found: MeasuredGames, player: int) -> list[tuple[Joint, Joint]]:
    """Joint actions with the player steered, each with the same one but for its steering."""
    rules = found.rules
    if all(rules.steers):
        return []
    none = rules.steers.index(False)
    both = [(j, (*j[:player], none, *j[player + 1 :])) for j in rules.joints]
    return [(j, k) for j, k in both if rules.steers[j[player]] and k in found.cells]


def _moved(
    cells: Mapping[Joint, Cell],
    pairs: list[tuple[Joint, Joint]],
    player: int,
    weights: Weights,
) -> Interval:
    """Payoff with less payoff without, its interval over conversations, paired."""
    steered = spread(cells, [j for j, _ in pairs], player, weights)
    without = spread(cells, [k for _, k in pairs], player, weights)
    return steered.minus(without)
