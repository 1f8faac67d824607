"""Teams: who sits at the table in each arm, as which checkpoint, and who is steered by what?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mahals.evaluation.arms import Direction, null_directions, own_label
from mahals.evaluation.bench import Bench, bench
from mahals.evaluation.dose import within_reach
from mahals.evaluation.native_vectors import Native, native, placed
from mahals.evaluation.scores import arm_aqi, behaviour
from mahals.evaluation.suite import Suite, steered_blocks
from mahals.models.conversation.talks import Agent
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab, Role
from mahals.records import seed_of
from mahals.schema import Label, NullArm, NullFamily

TeamArm = Literal["none", "weakest", "all", "aligned", "adversarial"]
"""`none`: base checkpoints, unsteered; `weakest`: the one of the lowest refusal gap is steered;
`all`: each is; `aligned`: aligned checkpoints; `adversarial`: the same, but the first agent is its
base, the checkpoint before preference training, unless it is dealigned on purpose."""

UNSTEERED = Arm("unsteered", ())
STEERED: tuple[TeamArm, ...] = ("weakest", "all")


@dataclass(frozen=True)
class How:
    """How agents are steered."""

    method: str  # of steering_vectors
    layers: Literal["auto"] | tuple[float, ...]
    operator: str
    draws: int  # null directions of each family that control each steered arm
    suite: Suite


@dataclass(frozen=True)
class Team:
    """Agents at one table."""

    arm: TeamArm
    null: NullArm | None  # which null directions steer; None for the arm itself
    agents: tuple[Agent, ...]
    steered: tuple[bool, ...]


@dataclass(frozen=True)
class Teams:
    """An arm with its random controls, and why some could not be made."""

    teams: tuple[Team, ...]
    missed: tuple[str, ...]


def teams(lab: Lab, models: Sequence[str], arm: TeamArm, how: How) -> Teams:
    """The arm's team, and of a steered arm one team a null direction, all at one mean KL.

    Isotropic directions and those of shuffled pairs, `how.draws` of each. One counts only where
    every steered agent reaches the dose with it.
    """
    if arm not in STEERED:
        roles = roles_of(arm, len(models))
        seated = tuple(seat(lab, m, r) for m, r in zip(models, roles, strict=True))
        return Teams((Team(arm, None, seated, (False,) * len(models)),), ())
    base = tuple(seat(lab, m, "base") for m in models)
    chosen = [weakest(lab, models, how.suite)] if arm == "weakest" else list(range(len(models)))
    missed: list[str] = []
    arms = {i: _dosed(lab, models[i], how, missed) for i in chosen}
    found = []
    for null in (None, *nulls(how.draws)):
        if all(null in arms[i] for i in chosen):
            agents = tuple(
                replace(a, arm=arms[i][null]) if i in arms else a for i, a in enumerate(base)
            )
            found.append(Team(arm, null, agents, tuple(i in arms for i in range(len(base)))))
    return Teams(tuple(found), tuple(missed))


def seat(lab: Lab, model: str, role: Role) -> Agent:
    """An unsteered agent, named after its model."""
    return Agent(model, lab.model(model, role), UNSTEERED)


def roles_of(arm: TeamArm, agents: int) -> tuple[Role, ...]:
    """The checkpoint of each agent in an arm."""
    role: Role = "aligned" if arm in ("aligned", "adversarial") else "base"
    first: Role = "base" if arm == "adversarial" else role
    return (first, *[role for _ in range(agents - 1)])


def nulls(draws: int) -> list[NullArm]:
    """The null arms of an own vector: `draws` of each family."""
    families: tuple[NullFamily, ...] = ("random", "shuffled_pairs")
    return [(family, k) for family in families for k in range(draws)]


def null_of(label: Label) -> NullArm | None:
    """Which null arm a label is; None for a vector itself."""
    if label.arm in ("random", "shuffled_pairs") and label.draw is not None:
        return ("random" if label.arm == "random" else "shuffled_pairs", label.draw)
    return None


def weakest(lab: Lab, models: Sequence[str], suite: Suite) -> int:
    """The agent whose base alone has the lowest refusal gap, on the selection split.

    Where several refuse alike, the one of the lowest AQI among them.
    """
    scores = []
    for model in models:
        at = bench(lab, model, "base", suite, "selection")
        refused = np.array(behaviour(at, [UNSTEERED])[0].refused)
        safe = np.array([at.prompts[i].label == 1 for i in at.answered])
        gap = float(refused[~safe].mean() - refused[safe].mean())
        scores.append((round(gap, 9), arm_aqi(at, [UNSTEERED])[0].aqi.aqi.estimate))
    return scores.index(min(scores))


@dataclass(frozen=True)
class Steerable:
    """A base model on its bench, and what can steer it: its own vector, then null directions."""

    at: Bench
    label: Label  # of its own vector, without a dose
    own: Native
    directions: tuple[Direction, ...]


def steerable(lab: Lab, model: str, how: How) -> Steerable:
    """The model's own vector and `how.draws` null directions of each family, of equal norm."""
    at = bench(lab, model, "base", how.suite, "evaluation")
    own = native(lab, model, how.method, how.suite.single_method)
    blocks = steered_blocks(how.layers, at.loaded.layers, lab.weights)
    label = own_label(own, how.operator, blocks)
    seed = seed_of("random directions", model, lab.seed)
    vectors = placed(own.values, blocks, "raw")
    beside = null_directions(label, own, vectors, how.draws, seed)
    return Steerable(at, label, own, (Direction(label, vectors, 1.0), *beside))


def _dosed(lab: Lab, model: str, how: How, missed: list[str]) -> Mapping[NullArm | None, Arm]:
    """The model's own vector (None) and its null directions at the headline dose."""
    found = steerable(lab, model, how)
    reached = within_reach(found.at, found.directions, how.suite.dose_kl)
    missed += [f"{model}: {why}" for why in reached.missed]
    return {null_of(d.label): d.arm for d in reached.dosed}
