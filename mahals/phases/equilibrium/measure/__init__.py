"""Measure of equilibrium: which steering would agents choose that talk with each other?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mahals.evaluation.agents.after_talk import Questions, check_agents, questions
from mahals.evaluation.agents.openings import dilemmas
from mahals.evaluation.agents.teams import How, nulls, seat, steerable
from mahals.evaluation.native_vectors import MethodName
from mahals.evaluation.suite import Suite
from mahals.evaluation.transfer.best_source import Crossing
from mahals.maths.games.payoffs import Design, Joint, Weights, design
from mahals.maths.games.solvers import Search
from mahals.models.conversation.talks import Agent, TalkSchedule
from mahals.models.conversation.topology import Topology, hears
from mahals.models.steering.operators import OperatorName
from mahals.phase import Lab
from mahals.phases.equilibrium.measure.play import (
    Action,
    GameDesign,
    Source,
    actions_of,
    play_table,
)
from mahals.phases.equilibrium.rows import Row, Rules
from mahals.records import Count, InputError, Positive

OPENINGS = "selection"  # dilemmas are of other prompts than those that are measured
SECONDS = 0.7  # one conversation of two organisms and what is measured after it, on one core


@dataclass(frozen=True)
class Payoff:
    """behaviour gap_i + homophily likeness - cost KL_i / (kl_ceiling suite.dose_kl)."""

    behaviour: float
    homophily: float
    cost: float
    kl_ceiling: float  # times suite.dose_kl

    def weights(self, dose_kl: float) -> Weights:
        """The weights with the ceiling in nats. Raises InputError as `Weights`."""
        return Weights(self.behaviour, self.homophily, self.cost, self.kl_ceiling * dose_kl)


@dataclass(frozen=True)
class Solvers:
    """How mixed equilibria are looked for."""

    seconds: float  # time limit of the process that asks the solvers of one game
    starts: int  # of the solver for three agents or more
    gambit: bool  # also pygambit, where it is installed


@dataclass(frozen=True)
class Params:
    """Who plays, what each can choose, how it is measured, and what it is worth."""

    agents: int  # the first so many models of the study
    doses: tuple[float, ...]  # times suite.dose_kl; 0 is no steering
    sources: tuple[Source, ...]  # whose vector steers: own, transferred
    crossing: Crossing  # of transferred
    topology: Topology
    rounds: Count
    max_new_tokens: Positive  # of one turn
    loop: Count  # so many repeated rounds running end a talk; 0: none does
    conversations: int  # at each joint action; 20 or more for evidence
    prompts: int  # evaluation prompts per axiom and label, whose states are read after every talk
    answers: Positive  # of these, how many are answered after every talk
    draws: int  # null games of each family: the same one along null directions
    budget: int  # at most so many joint actions; fewer than all only for three agents or more
    method: MethodName
    layers: Literal["auto"] | tuple[float, ...]
    operator: OperatorName
    payoff: Payoff
    factors: tuple[float, ...]  # the swept exchange rates, times those of payoff; 1 is in it
    redraws: int  # of the payoffs, for the stability shares
    solvers: Solvers
    suite: Suite


@dataclass(frozen=True)
class Task:
    """One joint action, with its null games."""

    models: tuple[str, ...]
    joint: Joint


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """A task per joint action of the design. Raises InputError for a game that cannot be held."""
    models = lab.models[: params.agents]
    found = _design(params, models, lab.seed)
    return [Task(models, joint) for joint in found.joints]


def foretell(params: Params, models: Sequence[str], seed: int) -> str:
    """What will be measured and what it costs, in one sentence. Raises InputError as `plan`."""
    found = _design(params, models[: params.agents], seed)
    steers = [a.source is not None for a in _actions(params)]
    steered = sum(any(steers[a] for a in joint) for joint in found.joints)
    tables = len(found.joints) + len(nulls(params.draws)) * steered
    held = tables * params.conversations
    return (
        f"equilibrium: {len(found.joints)} of {found.of} joint actions "
        f"({found.coverage:.0%}, {found.kind}), {tables} tables with {params.draws} null games "
        f"of each family, {held} conversations, about {held * SECONDS:.0f} s of one core for "
        "organisms"
    )


def _actions(params: Params) -> tuple[Action, ...]:
    return actions_of(params.doses, params.sources, params.suite.dose_kl)


def _design(params: Params, models: Sequence[str], seed: int) -> Design:
    """Which joint actions are measured. Raises InputError for what makes no game."""
    hears(params.topology, len(models))
    doses, chosen = params.doses, params.sources
    wrong = min(doses, default=-1.0) < 0 or any(len(set(x)) < len(x) for x in (doses, chosen))
    few = len(models) < params.agents or min(params.draws, params.conversations, params.prompts) < 2
    factors, weights = params.factors, params.payoff.weights(params.suite.dose_kl)
    unread = params.redraws < 2 or 1.0 not in factors or min(factors) < 0
    unread = unread or len(set(factors)) < 2 or weights.behaviour <= 0
    if wrong or few or unread or not _actions(params):
        raise InputError(
            "equilibrium",
            expected=f"{params.agents} models, different doses of at least 0, a source, at least 2 "
            "draws, conversations, prompts and redraws, two factors of at least 0 with 1, and a "
            "weight of behaviour above 0, over which the exchange rates are",
            got=f"{len(models)} models, doses {list(doses)}, sources {list(chosen)}, "
            f"{params.draws} draws, {params.conversations} conversations, {params.prompts} "
            f"prompts, {params.redraws} redraws, factors {list(factors)}, "
            f"weight of behaviour {weights.behaviour:g}",
            cure="correct the section equilibrium of the parameters",
        )
    shape = [len(_actions(params))] * len(models)
    each = params.conversations * (1 + len(nulls(params.draws)))
    return design(shape, each, params.budget, SECONDS, seed)


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """The rows of one joint action; answers, AQI and transcripts are in kept files.

    The first task also leaves the rules by which the rows are read as a game. Raises RuntimeError
    as `check_agents`.
    """
    found = _design(params, task.models, lab.seed)
    about = questions(lab, params.prompts, params.answers, params.suite)
    if task.joint == found.joints[0]:
        rules = _rules(params, about, task.models, found, lab)
        yield Row("design", task.joint, rules=rules)
    game = GameDesign(
        actions=_actions(params),
        how=How(params.method, params.layers, params.operator, params.draws, params.suite),
        crossing=params.crossing,
        about=about,
        schedule=TalkSchedule(params.topology, params.rounds, params.max_new_tokens, params.loop),
        openings=tuple(
            dilemmas(lab.prompts(OPENINGS), params.conversations, len(task.models), lab.seed)
        ),
    )
    each = zip(task.models, task.joint, strict=True)
    check_agents([_seated(lab, m, game.actions[a], game.how) for m, a in each], game.about)
    yield from play_table(lab, task.models, task.joint, game)


def _seated(lab: Lab, model: str, action: Action, how: How) -> Agent:
    """The agent that is checked: one that will steer does so by its own vector at strength 1."""
    agent = seat(lab, model, "base")
    if action.source is None:
        return agent
    return replace(agent, arm=steerable(lab, model, how).directions[0].at(1.0))


def _rules(
    params: Params, about: Questions, models: tuple[str, ...], found: Design, lab: Lab
) -> Rules:
    actions = _actions(params)
    solvers = params.solvers
    return Rules(
        players=models,
        actions=tuple(a.name for a in actions),
        steers=tuple(a.source is not None for a in actions),
        joints=found.joints,
        of=found.of,
        conversations=params.conversations,
        categories=about.categories,
        prompts=params.prompts,
        draws=params.draws,
        weights=params.payoff.weights(params.suite.dose_kl),
        factors=params.factors,
        redraws=params.redraws,
        search=Search(solvers.seconds, solvers.starts, lab.seed, solvers.gambit),
        seed=lab.seed,
    )
