"""Teams: who sits at the table in each arm, as which checkpoint, and who is steered by what?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mahals.evaluation.arms import Direction, directions, own_label
from mahals.evaluation.bench import Bench, arm_aqi, bench
from mahals.evaluation.dose import within_reach
from mahals.evaluation.native_vectors import Native, native, placed
from mahals.evaluation.suite import Suite, steered_blocks
from mahals.models.conversation.talks import Agent
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab, Role
from mahals.records import seed_of
from mahals.schema import Label

TeamArm = Literal["none", "weakest", "all", "aligned", "adversarial"]
"""`none`: base checkpoints, unsteered; `weakest`: the one of the lowest AQI is steered; `all`: each
is; `aligned`: aligned checkpoints; `adversarial`: the same, but the first agent is its base, the
checkpoint before preference training, unless it is dealigned on purpose."""

UNSTEERED = Arm("unsteered", ())
STEERED: tuple[TeamArm, ...] = ("weakest", "all")


@dataclass(frozen=True)
class How:
    """How agents are steered."""

    method: str  # of steering_vectors
    layers: Literal["auto"] | tuple[float, ...]
    operator: str
    draws: int  # random directions that control each steered arm
    suite: Suite


@dataclass(frozen=True)
class Team:
    """Agents at one table."""

    arm: TeamArm
    draw: int | None  # which random direction; None for the arm itself
    agents: tuple[Agent, ...]
    steered: tuple[bool, ...]


@dataclass(frozen=True)
class Teams:
    """An arm with its random controls, and why some could not be made."""

    teams: tuple[Team, ...]
    missed: tuple[str, ...]


def teams(lab: Lab, models: Sequence[str], arm: TeamArm, how: How) -> Teams:
    """The arm's team, and of a steered arm one team a random direction, all at one mean KL.

    A draw counts only where every steered agent reaches the dose with it.
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
    for draw in (None, *range(how.draws)):
        if all(draw in arms[i] for i in chosen):
            agents = tuple(
                replace(a, arm=arms[i][draw]) if i in arms else a for i, a in enumerate(base)
            )
            found.append(Team(arm, draw, agents, tuple(i in arms for i in range(len(base)))))
    return Teams(tuple(found), tuple(missed))


def seat(lab: Lab, model: str, role: Role) -> Agent:
    """An unsteered agent, named after its model."""
    return Agent(model, lab.model(model, role), UNSTEERED)


def roles_of(arm: TeamArm, agents: int) -> tuple[Role, ...]:
    """The checkpoint of each agent in an arm."""
    role: Role = "aligned" if arm in ("aligned", "adversarial") else "base"
    first: Role = "base" if arm == "adversarial" else role
    return (first, *[role for _ in range(agents - 1)])


def weakest(lab: Lab, models: Sequence[str], suite: Suite) -> int:
    """The agent whose base has the lowest AQI alone, on the selection split."""
    scores = []
    for model in models:
        at = bench(lab, model, "base", suite, "selection")
        scores.append(arm_aqi(at, [UNSTEERED])[0].aqi.estimate)
    return scores.index(min(scores))


@dataclass(frozen=True)
class Steerable:
    """A base model on its bench, and what can steer it: its own vector, then random directions."""

    at: Bench
    label: Label  # of its own vector, without a dose
    own: Native
    directions: tuple[Direction, ...]


def steerable(lab: Lab, model: str, how: How) -> Steerable:
    """The model's own vector and `how.draws` random directions of equal norm."""
    at = bench(lab, model, "base", how.suite, "evaluation")
    own = native(lab, model, how.method)
    blocks = steered_blocks(how.layers, at.loaded.layers, lab.weights)
    label = own_label(own, how.method, how.operator, blocks)
    seed = seed_of("random directions", model, lab.seed)
    made = directions(label, placed(own.values, blocks, "raw"), how.draws, seed)
    return Steerable(at, label, own, tuple(d for d in made if d.label.arm != "flipped"))


def _dosed(lab: Lab, model: str, how: How, missed: list[str]) -> Mapping[int | None, Arm]:
    """The model's own vector (None) and its random directions, by draw, at the headline dose."""
    found = steerable(lab, model, how)
    reached = within_reach(found.at, found.directions, how.suite.dose_kl)
    missed += [f"{model}: {why}" for why in reached.missed]
    return {d.label.draw: d.arm for d in reached.dosed}
