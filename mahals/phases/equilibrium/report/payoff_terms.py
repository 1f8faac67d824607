"""Payoff terms: what decides a game: behaviour, likeness or price, and which has nothing to say?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mahals.maths.games.payoffs import Cell, Joint, Term, Weights, terms
from mahals.maths.metrics.aqi import at_floor, lowest_aqi
from mahals.maths.stats.intervals import Interval
from mahals.phases.equilibrium.report.games import ALL, MeasuredGames
from mahals.phases.equilibrium.rows import Row
from mahals.reporting.evidence import Evidence, Part
from mahals.reporting.report import Report, interval_metrics

NOTHING = "nothing to measure here"


def report_terms(found: MeasuredGames) -> Report:
    """By how much an agent's own steering moves each term of its payoff, the others unchanged.

    Mean over its steered actions and what the others do; beside it the same along null directions,
    family by family. Nothing where no joint action is there both with and without its steering.
    """
    metrics: dict[str, float] = {}
    lines = []
    for i, player in enumerate(found.rules.players):
        pairs = _pairs(found, i)
        if not pairs:
            continue
        parts = []
        for name in _terms(found.rules.weights):
            moved = _moved(found, found.cells, pairs, (i, name))
            metrics |= interval_metrics(f"{ALL}/{player}/moves_{name}", moved)
            beside = []
            for family in found.families:
                null = [_moved(found, c, pairs, (i, name)).estimate for c in found.of(family)]
                beside.append(f"{family.replace('_', ' ')} {np.mean(null):+.4f}")
            words = f" ({', '.join(beside)})" if beside else ""
            parts.append(f"{name} {moved:+.4f}{words}")
        lines.append(f"{player}: its own steering moves its payoff by {', '.join(parts)}")
    return Report(metrics, lines)


def _terms(weights: Weights) -> tuple[Term, ...]:
    """The terms of the payoff; those of weight 0 are left out."""
    every: Mapping[Term, float] = {
        "behaviour": weights.behaviour, "homophily": weights.homophily, "cost": weights.cost
    }  # fmt: skip
    return tuple(name for name, weight in every.items() if weight > 0)


def _pairs(found: MeasuredGames, player: int) -> list[tuple[Joint, Joint]]:
    """Joint actions with the player steered, each with the same one but for its steering."""
    rules = found.rules
    if all(rules.steers):
        return []
    none = rules.steers.index(False)
    both = [(j, (*j[:player], none, *j[player + 1 :])) for j in rules.joints]
    return [(j, k) for j, k in both if rules.steers[j[player]] and k in found.cells]


def _moved(
    found: MeasuredGames,
    cells: Mapping[Joint, Cell],
    pairs: Sequence[tuple[Joint, Joint]],
    which: tuple[int, Term],
) -> Interval:
    """A player's term with less that without, its interval over conversations, paired."""
    player, name = which

    def each(joint: Joint) -> np.ndarray:
        return terms(cells[joint], found.rules.weights, None)[name][:, player]

    return Part.mean(np.mean([each(j) - each(k) for j, k in pairs], axis=0), None).interval


def report_floors(found: MeasuredGames, table: Evidence[Row]) -> Report:
    """Which terms lie at a floor at every joint action, and AQI beside, which no game rests on."""
    metrics = {
        f"{ALL}/behaviour_at_floor": float(behaviour_at_floor(found)),
        f"{ALL}/homophily_at_floor": float(homophily_at_floor(table)),
    }
    lines = []
    if metrics[f"{ALL}/behaviour_at_floor"]:
        lines.append(
            "behaviour lies at its floor: no agent's refusal gap is above 0 at any joint action: "
            + NOTHING
        )
    if metrics[f"{ALL}/homophily_at_floor"]:
        lines.append(
            "homophily lies at its ceiling or floor: at no joint action do two agents vary in what "
            f"they refuse (no kappa): {NOTHING}"
        )
    beside = _aqi(found)
    return Report(metrics | beside.metrics, lines + beside.lines)


def behaviour_at_floor(found: MeasuredGames) -> bool:
    """Whether no agent refuses unsafe requests more than safe ones, for sure, anywhere."""
    return all(
        Part.mean(cell.behaviour[:, i].mean(axis=-1), None).interval.low <= 0
        for cell in found.cells.values()
        for i in range(len(found.rules.players))
    )


def homophily_at_floor(table: Evidence[Row]) -> bool:
    """Whether kappa, likeness beyond the agents' rates, exists at no joint action."""
    return all(r.kappa is None for r in table.where(kind="table", null=None))


def _aqi(found: MeasuredGames) -> Report:
    """The AQI of each agent by its own action, mean over what the others do."""
    rules, metrics, lines = found.rules, dict[str, float](), []
    n = 2 * rules.prompts
    for i, player in enumerate(rules.players):
        parts, floored = [], 0
        for a, action in enumerate(rules.actions):
            own = [found.aqi[j][:, i].mean(axis=-1) for j in rules.joints if j[i] == a]
            level = Part.mean(np.mean(own, axis=0), None).interval
            if at_floor(level, n):
                floored += 1
                parts.append(f"{action} {NOTHING}")
                continue
            parts.append(f"{action} {level:.1f}")
            metrics[f"{ALL}/{player}/aqi_{a}"] = level.estimate
        words = ", ".join(parts)
        if floored == len(rules.actions):
            words = f"every level reaches the floor of {lowest_aqi(n):.1f} points: {NOTHING}"
        lines.append(f"{player}, AQI beside by its own action, in no payoff: {words}")
    return Report(metrics, lines)
