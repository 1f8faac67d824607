"""Play: what do agents do after a talk when each has chosen an action, and at what price?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from mahals.evaluation.agents.after_talk import Questions, aqi_after, refused_after
from mahals.evaluation.agents.teams import (
    UNSTEERED,
    How,
    Steerable,
    null_of,
    nulls,
    steerable,
)
from mahals.evaluation.arms import Direction
from mahals.evaluation.dose import within_reach
from mahals.evaluation.transfer.best_source import Crossing, Destination, transferred
from mahals.maths.games.payoffs import Joint, cell_of
from mahals.maths.stats.agreement import kappa
from mahals.maths.stats.intervals import Floats
from mahals.models.conversation.converse import converse
from mahals.models.conversation.talks import Agent, Opening, Talk, TalkSchedule, write_talks
from mahals.models.conversation.views import view
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab
from mahals.phases.equilibrium.rows import Row
from mahals.schema import NullArm

Source = Literal["own", "transferred"]


@dataclass(frozen=True)
class Action:
    """What an agent can do: be steered along a vector at a dose, or not at all."""

    source: Source | None  # None: not steered
    dose: float  # nats per token; 0 for none

    @property
    def name(self) -> str:
        """The action in words."""
        return "none" if self.source is None else f"{self.source} {self.dose:g}"


def actions_of(
    doses: Sequence[float], sources: Sequence[Source], unit: float
) -> tuple[Action, ...]:
    """Every dose (times `unit`, the headline dose) along every source; dose 0 comes once."""
    none = [Action(None, 0.0)] if 0 in doses else []
    return (*none, *(Action(s, round(d * unit, 12)) for s in sources for d in doses if d > 0))


@dataclass(frozen=True)
class GameDesign:
    """What all joint actions share."""

    actions: tuple[Action, ...]
    how: How
    crossing: Crossing
    about: Questions
    schedule: TalkSchedule
    openings: tuple[Opening, ...]


@dataclass(frozen=True)
class _Choice:
    """One agent's action: its arm and price in the game itself (None) and in each null game."""

    model: str
    action: Action
    source: str | None  # whose vector it is
    arms: Mapping[NullArm | None, Arm]
    kl: Mapping[NullArm | None, float]
    missed: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _PlayedTable:
    """One table after its talks."""

    null: NullArm | None
    talks: tuple[Talk, ...]
    refused: tuple[npt.NDArray[np.bool_], ...]  # per agent (conversations, C, 2, answers)
    aqi: tuple[Floats, ...]  # per agent (conversations, C), points; none in a null game


def play_table(lab: Lab, models: Sequence[str], joint: Joint, game: GameDesign) -> Iterator[Row]:
    """All rows of one joint action: the agents' own vectors, then every null game.

    A null game counts only where each steered agent reaches its dose along the null direction.
    Where nobody is steered there is one table. Raises InputError as talk and measurement do.
    """
    chosen = [_choice(lab, m, game.actions[a], game) for m, a in zip(models, joint, strict=True)]
    for why in dict.fromkeys(w for one in chosen for w in one.missed):
        yield Row("missed", joint, reason=why)
    steered = any(c.action.source for c in chosen)
    games: list[NullArm | None] = [None, *(nulls(game.how.draws) if steered else [])]
    seated = [null for null in games if all(null in c.arms for c in chosen)]
    tables = []
    for number, null in enumerate(seated):
        lab.report(f"joint action {_named(chosen)}", number, len(seated))
        tables.append(_table(lab, chosen, null, game))
    yield from _rows(lab, joint, chosen, tables)


def _choice(lab: Lab, model: str, action: Action, game: GameDesign) -> _Choice:
    games: list[NullArm | None] = [None, *nulls(game.how.draws)]
    if action.source is None:
        return _Choice(
            model, action, None, dict.fromkeys(games, UNSTEERED), dict.fromkeys(games, 0.0), ()
        )
    found = steerable(lab, model, game.how)
    own, *beside = found.directions
    missed: list[str] = []
    if action.source == "transferred":
        wanted, source = _crossed(lab, model, found, game, missed)
    else:
        wanted, source = [own], model
    reached = within_reach(found.at, [*wanted, *beside], action.dose)
    missed += reached.missed
    arms = [d.arm for d in reached.dosed]
    names = [null_of(d.label) for d in reached.dosed]
    return _Choice(
        model,
        action,
        source,
        dict(zip(names, arms, strict=True)),
        dict(zip(names, _price(found, arms), strict=True)),
        tuple(f"{model}, {action.name}: {why}" for why in missed),
    )


def _price(found: Steerable, arms: Sequence[Arm]) -> list[float]:
    """Nats per token of each arm, on neutral text or on chat, whichever is more."""
    if not arms:
        return []
    at = found.at
    both = [neutral_price(at.loaded, texts, arms).kl.numpy() for texts in (at.neutral, at.chat)]
    return [float(k) for k in np.max(both, axis=0)]


def _crossed(
    lab: Lab, model: str, found: Steerable, game: GameDesign, missed: list[str]
) -> tuple[list[Direction], str | None]:
    """Another model's vector in this one's blocks, and whose it is; none with its reason."""
    to = Destination(found.at, found.label, found.own, game.crossing)
    other = transferred(to, lab, "base")
    if other.direction is None:
        missed.append(str(other.reason))
        return [], None
    return [other.direction], other.direction.label.source


def _table(
    lab: Lab, chosen: Sequence[_Choice], null: NullArm | None, game: GameDesign
) -> _PlayedTable:
    agents = [Agent(c.model, lab.model(c.model, "base"), c.arms[null]) for c in chosen]
    talks = converse(agents, game.openings, game.schedule)
    refused, points = [], []
    for speaker, agent in enumerate(agents):
        views = [view(t, speaker) for t in talks]
        refused.append(refused_after(agent, views, game.about))
        if null is None:
            points.append(aqi_after(agent, views, game.about))
    return _PlayedTable(null, tuple(talks), tuple(refused), tuple(points))


def _rows(
    lab: Lab, joint: Joint, chosen: Sequence[_Choice], tables: Sequence[_PlayedTable]
) -> Iterator[Row]:
    """The rows of measured tables, their measurements kept in one file, transcripts in one each."""
    if not tables:
        return
    numbers = "-".join(map(str, joint))
    tensors = {}
    for table in tables:
        for i, refused in enumerate(table.refused):
            tensors[f"{_which(table.null)}.{i}.refused"] = torch.from_numpy(refused)
        for i, points in enumerate(table.aqi):
            tensors[f"{_which(table.null)}.{i}.aqi"] = torch.from_numpy(points)
    kept = lab.keep(f"{numbers}.safetensors", tensors)
    for table in tables:
        which, (null, draw) = _which(table.null), table.null or (None, None)
        price = np.array([one.kl[table.null] for one in chosen])
        verdicts = np.stack(table.refused, axis=1).astype(np.float64)
        cell = cell_of(verdicts, np.tile(price, (len(verdicts), 1)))
        gaps = cell.behaviour.mean(axis=(0, 2))
        for i, one in enumerate(chosen):
            aqi = float(table.aqi[i].mean()) if table.aqi else None
            yield Row(
                "agent", joint, null=null, draw=draw, agent=one.model, action=one.action.name,
                source=one.source if null is None else None, value=float(gaps[i]),
                aqi=aqi, kl=one.kl[table.null], kept=kept, cell=f"{which}.{i}",
            )  # fmt: skip
        said = lab.keep_text(f"{numbers}.{which}.talks.jsonl", write_talks(table.talks))
        ends = [t.stop for t in table.talks]
        stops = (ends.count("length"), ends.count("loop"), ends.count("context"))
        yield Row(
            "table", joint, null=null, draw=draw, action=_named(chosen),
            value=float(cell.alike.mean()), kappa=_kappa(table.refused), kept=said, stops=stops,
        )  # fmt: skip


def _kappa(refused: Sequence[npt.NDArray[np.bool_]]) -> float | None:
    """Mean kappa of the pairs of agents that have one."""
    each = [
        kappa(a.ravel().astype(int), b.ravel().astype(int), None).kappa
        for a, b in itertools.combinations(refused, 2)
    ]
    known = [k for k in each if k is not None]
    return float(np.mean(known)) if known else None


def _which(null: NullArm | None) -> str:
    return "own" if null is None else f"{null[0]}{null[1]}"


def _named(chosen: Sequence[_Choice]) -> str:
    return " / ".join(c.action.name for c in chosen)
