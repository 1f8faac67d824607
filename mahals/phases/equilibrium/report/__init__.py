"""Report of equilibrium: who would choose what, at which price, and is it the vectors?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mahals.maths.games.additive_fit import additive_fit, sampled
from mahals.maths.games.analysis import Analysis, Equilibrium
from mahals.maths.games.game import Game, Profile, supports
from mahals.maths.games.payoffs import Joint, paid_at
from mahals.maths.games.replicator import Course, ReplicatorPath, replicator_path
from mahals.maths.games.solvers import SolverRow
from mahals.maths.games.stackelberg import Stackelberg
from mahals.phase import Kept, Summary
from mahals.phases.equilibrium.report.games import (
    ALL,
    Games,
    MeasuredGames,
    games_of,
    over_nulls,
    read,
    title,
)
from mahals.phases.equilibrium.report.headline import report_headline
from mahals.phases.equilibrium.report.payoff_terms import report_floors, report_terms
from mahals.phases.equilibrium.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.report import Report, interval_metrics, joined

LEAST = 20  # conversations
COURSE = Course(400.0, 2001)


def report_games(table: Evidence[Row]) -> Report:
    """The headline, every game's equilibria, the null games', gains over them; what is absent."""
    evidence = read(table)
    if evidence.measured is None:
        return Report({}, list(evidence.absent))
    measured, games = evidence.measured, games_of(evidence.measured)
    parts = (
        report_headline(measured),
        report_floors(measured, table),
        _covered(measured),
        *(_game(name, game) for name, game in games.own.items()),
        _beside(games.own[ALL]),
        report_terms(measured),
        _null(games),
        _gained(measured, games.own[ALL]),
        _solved(games),
        Report({}, list(evidence.absent)),
    )
    return joined(parts)


def _covered(found: MeasuredGames) -> Report:
    """What was measured; of a sample also how far its additive fit is to be believed."""
    rules, count = found.rules, len(found.rules.joints)
    line = (
        f"{', '.join(rules.players)}: {count} of {rules.of} joint actions, "
        f"{rules.conversations} conversations each, {len(found.null)} null games"
    )
    if rules.conversations < LEAST:
        line += f"; fewer than {LEAST} conversations: no evidence"
    metrics = {"coverage": count / rules.of, "null_games": float(len(found.null))}
    shape = [len(rules.actions)] * len(rules.players)
    if not sampled(found.cells, shape):
        return Report(metrics, [line])
    fit = additive_fit(paid_at(found.cells, rules.weights, None), shape)
    each = zip(rules.players, fit.held_out_error, fit.held_out_r2, strict=True)
    lines = [
        f"{player}: additive fit, held-out error {error:.3f}, held-out R2 "
        f"{'absent (flat payoffs)' if r2 is None else format(r2, '.2f')}; "
        "such a fit can show no conflict"
        for player, error, r2 in each
    ]
    for player, r2 in zip(rules.players, fit.held_out_r2, strict=True):
        if r2 is not None:
            metrics[f"{player}/held_out_r2"] = r2
    return Report(metrics, [line, *lines])


def _game(name: str, found: Analysis) -> Report:
    """The equilibria of one game, each with its exploitability and stability share."""
    metrics = {f"{name}/potential_distance": found.potential.distance}
    for kind in ("pure", "mixed"):
        metrics[f"{name}/{kind}"] = float(sum(p.kind == kind for p in found.points))
    if not found.points:
        return Report(metrics, [f"game {name}: no equilibrium was found"])
    metrics[f"{name}/exploitability"] = max(p.exploitability for p in found.points)
    if found.anarchy is not None:
        metrics[f"{name}/anarchy_gap"] = found.anarchy.gap
        if found.anarchy.anarchy is not None:
            metrics[f"{name}/price_of_anarchy"] = found.anarchy.anarchy
    best = surest(found)
    if len(found.game.players) > 2:
        metrics[f"{name}/all_mixed_found"] = float(found.complete)
    if best is not None and best.stability is not None:
        metrics |= interval_metrics(f"{name}/stability", best.stability.share)
        if best.stability.chance is not None:
            metrics[f"{name}/stability_chance"] = best.stability.chance
    return Report(metrics, [f"game {name}: {_point(found, p)}" for p in found.points])


def surest(found: Analysis) -> Equilibrium | None:
    """The equilibrium with the highest stability share; None where there is none."""
    known = [(p.stability.share.estimate, -i) for i, p in enumerate(found.points) if p.stability]
    return found.points[-max(known)[1]] if known else None


def _point(found: Analysis, point: Equilibrium) -> str:
    paid = ", ".join(
        f"{who} {value:+.3f}" for who, value in zip(found.game.players, point.payoffs, strict=True)
    )
    stable = "" if point.evolutionary.stable else "not "
    words = (
        f"{point.kind} equilibrium {describe(found.game, point.profile)}, payoffs {paid}, "
        f"exploitability {point.exploitability:.1e}, {stable}evolutionarily stable"
    )
    if point.stability is None:
        return words
    chance = point.stability.chance
    beside = "" if chance is None else f" (chance {chance:.2f})"
    return f"{words}, in {point.stability.share:.2f} of redraws{beside}"


def _beside(found: Analysis) -> Report:
    """Leading, anarchy, potential and the replicator dynamics of the game of all axioms."""
    metrics: dict[str, float] = {}
    lines = []
    for one in found.stackelberg:
        lines.append(f"game {ALL}, {_led(found, one)}")
        if one.strong_payoffs:
            at = found.game.players.index(one.leader)
            metrics[f"{ALL}/{one.leader}/leading"] = one.strong_payoffs[at]
    if found.anarchy is not None:
        worth = found.anarchy
        ratio = f"{worth.anarchy:.3f}" if worth.anarchy is not None else f"absent ({worth.reason})"
        lines.append(
            f"game {ALL}: price of anarchy {ratio}, gap {worth.gap:.3f}, best together "
            f"{' / '.join(found.game.names(worth.best))}"
        )
    ends = "end" if found.potential.improvement_ends else "can go in circles"
    lines.append(
        f"game {ALL}: share of gains that no potential explains {found.potential.distance:.3f}; "
        f"single improvements {ends}"
    )
    path = path_from_the_middle(found)
    last = tuple(mix[-1] for mix in path.mixes)
    lines.append(
        f"game {ALL}: from equal shares the replicator dynamics end at {_mix(found, last)}"
    )
    return Report(metrics, lines)


def path_from_the_middle(found: Analysis) -> ReplicatorPath:
    """The replicator path that starts where every agent takes each action equally often."""
    return replicator_path(found.game, [np.full(n, 1 / n) for n in found.game.shape], COURSE)


def _mix(found: Analysis, mixes: tuple[np.ndarray, ...]) -> str:
    kept = [np.where(mix < 0.005, 0.0, mix) for mix in mixes]
    return describe(found.game, tuple(mix / mix.sum() for mix in kept))


def _led(found: Analysis, one: Stackelberg) -> str:
    if one.strong is None or one.weak is None:
        return f"{one.leader} leads: absent, {one.reason}"
    paid = ", ".join(
        f"{who} {v:+.3f}" for who, v in zip(found.game.players, one.strong_payoffs, strict=True)
    )
    tied = (
        "" if one.weak == one.strong else f"; tied followers may make it {_names(found, one.weak)}"
    )
    return f"{one.leader} leads: {_names(found, one.strong)}, payoffs {paid}{tied}"


def _names(found: Analysis, joint: Sequence[int]) -> str:
    return " / ".join(found.game.names(joint))


def pure_of(found: Analysis) -> list[Joint]:
    """The pure equilibria of a game as joint actions."""
    return [tuple(own[0] for own in supports(p.profile)) for p in found.points if p.kind == "pure"]


def _null(games: Games) -> Report:
    """The equilibria of the null games, and how many of each family hold the game's own."""
    metrics: dict[str, float] = {}
    lines = []
    for null, found in games.null.items():
        points = "; ".join(_brief(found, p) for p in found.points) or "no equilibrium was found"
        lines.append(f"null game {title(null)}, directions of equal KL: {points}")
    for joint in pure_of(games.own[ALL]):
        for family in dict.fromkeys(f for f, _ in games.null):
            theirs = [g for (own, _), g in games.null.items() if own == family]
            same = sum(joint in pure_of(found) for found in theirs)
            name = f"{ALL}/in_null_games"
            metrics[name] = max(same / len(theirs), metrics.get(name, 0.0))
            lines.append(
                f"game {ALL}: {_names(games.own[ALL], joint)} is also an equilibrium of {same} of "
                f"{len(theirs)} null games of {family.replace('_', ' ')}"
            )
    return Report(metrics, lines)


def _brief(found: Analysis, point: Equilibrium) -> str:
    share = "" if point.stability is None else f" in {point.stability.share:.2f} of redraws"
    return f"{point.kind} {describe(found.game, point.profile)}{share}"


def _gained(measured: MeasuredGames, found: Analysis) -> Report:
    """Payoffs less those of the null games: over all steered joint actions, at equilibria."""
    rules = measured.rules
    steered = [j for j in rules.joints if rules.steered(j)]
    metrics: dict[str, float] = {}
    lines = []
    where = [("all steered joint actions", steered)]
    for joint in pure_of(found):
        if joint not in measured.cells:
            continue
        if rules.steered(joint):
            where.append((f"the equilibrium {rules.named(joint)}", [joint]))
        else:
            lines.append(f"nobody is steered at the equilibrium {rules.named(joint)}: no control")
    for number, (words, joints) in enumerate(where):
        for i, player in enumerate(rules.players):
            harder = over_nulls(measured, i, joints)
            if harder is None:
                lines.append(f"{player}: payoff over nulls absent at {words}, no spread of draws")
                continue
            if number == 0:
                over = harder.gain.interval
                metrics |= interval_metrics(f"{ALL}/{player}/payoff_over_random", over)
            parts = [
                f"{gain.n_random} {family.replace('_', ' ')} {gain.interval:+.4f}, p {gain.p:.3f}"
                + (" (the harder family)" if family == harder.family else "")
                for family, gain in harder.every.items()
            ]
            lines.append(
                f"{player}: payoff at {words} over null directions at equal KL: {'; '.join(parts)}"
            )
    return Report(metrics, lines)


def _solved(games: Games) -> Report:
    """The solvers that said nothing, each reason once."""
    named = {**games.own, **{title(k): g for k, g in games.null.items()}}
    failed: dict[SolverRow, list[str]] = {}
    for name, found in named.items():
        for row in found.solvers:
            if row.status != "ran":
                failed.setdefault(row, []).append(name)
    lines = [
        f"solver {row.solver}: {row.status} in the games {', '.join(where)} ({row.reason})"
        for row, where in failed.items()
    ]
    return Report({"solvers_failed": float(len(failed))}, lines)


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """The games' equilibria with their stability, beside those of the null games."""
    report = report_games(Evidence(rows, kept))
    return Summary(report.metrics, tuple(report.lines), (), ())


def describe(game: Game, profile: Profile) -> str:
    """A profile in words: the action of each player, or its mix with shares."""
    said = []
    for own, mix, used in zip(game.actions, profile, supports(profile), strict=True):
        parts = [own[a] if len(used) == 1 else f"{own[a]} {mix[a]:.2f}" for a in used]
        said.append("+".join(parts))
    return " / ".join(said)
