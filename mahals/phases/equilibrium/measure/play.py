"""Play: what do agents come to when each has chosen an action: AQI after talk, and its price?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from mahals.evaluation.agents.after_talk import Questions, aqi_after
from mahals.evaluation.agents.teams import UNSTEERED, How, Steerable, steerable
from mahals.evaluation.arms import Direction
from mahals.evaluation.dose import within_reach
from mahals.evaluation.transfer.best_source import Crossing, transferred
from mahals.maths.games.payoffs import Joint
from mahals.maths.metrics.homophily import homophily
from mahals.maths.stats.intervals import Floats
from mahals.models.conversation.converse import converse
from mahals.models.conversation.talks import Agent, Opening, Talk, TalkSchedule, write_talks
from mahals.models.conversation.views import view
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab
from mahals.phases.equilibrium.rows import Row

Source = Literal["own", "transferred"]


@dataclass(frozen=True)
class Action:
    """What an agent can do: be steered along a vector at a dose, or not at all."""

    source: Source | None  # None: not steered
    dose: float  # nats per token on neutral text; 0 for none

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
    """One agent's action: its arm and price in the game itself (None) and in each random game."""

    model: str
    action: Action
    source: str | None  # whose vector it is
    arms: Mapping[int | None, Arm]
    kl: Mapping[int | None, float]
    missed: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _PlayedTable:
    """One table after its talks."""

    draw: int | None
    talks: tuple[Talk, ...]
    aqi: tuple[Floats, ...]  # per agent (conversations, 7), points


def play_table(lab: Lab, models: Sequence[str], joint: Joint, game: GameDesign) -> Iterator[Row]:
    """All rows of one joint action: the agents' own vectors, then every random game.

    A random game counts only where each steered agent reaches its dose along the random direction.
    Where nobody is steered there is one table. Raises InputError as talk and measurement do.
    """
    chosen = [_choice(lab, m, game.actions[a], game) for m, a in zip(models, joint, strict=True)]
    for why in dict.fromkeys(w for one in chosen for w in one.missed):
        yield Row("missed", joint, reason=why)
    if any(c.action.source for c in chosen):
        draws: list[int | None] = [None, *range(game.how.draws)]
    else:
        draws = [None]
    seated = [d for d in draws if all(d in c.arms for c in chosen)]
    tables = []
    for number, draw in enumerate(seated):
        lab.report(f"joint action {_named(chosen)}", number, len(seated))
        tables.append(_table(lab, chosen, draw, game))
    yield from _rows(lab, joint, chosen, tables)


def _choice(lab: Lab, model: str, action: Action, game: GameDesign) -> _Choice:
    draws = (None, *range(game.how.draws))
    if action.source is None:
        return _Choice(
            model, action, None, dict.fromkeys(draws, UNSTEERED), dict.fromkeys(draws, 0.0), ()
        )
    found = steerable(lab, model, game.how)
    own, *random = found.directions
    missed: list[str] = []
    if action.source == "transferred":
        wanted, source = _crossed(lab, model, found, game, missed)
    else:
        wanted, source = [own], model
    reached = within_reach(found.at, [*wanted, *random], action.dose)
    missed += reached.missed
    arms = [d.arm for d in reached.dosed]
    price = neutral_price(found.at.loaded, found.at.neutral, arms).kl.tolist() if arms else []
    names = [d.label.draw for d in reached.dosed]
    return _Choice(
        model,
        action,
        source,
        dict(zip(names, arms, strict=True)),
        dict(zip(names, price, strict=True)),
        tuple(f"{model}, {action.name}: {why}" for why in missed),
    )


def _crossed(
    lab: Lab, model: str, found: Steerable, game: GameDesign, missed: list[str]
) -> tuple[list[Direction], str | None]:
    """Another model's vector in this one's blocks, and whose it is; none with its reason."""
    other = transferred(found.at, found.label, found.own, game.crossing, lab, "base")
    if other.direction is None:
        missed.append(str(other.reason))
        return [], None
    return [other.direction], other.direction.label.source


def _table(lab: Lab, chosen: Sequence[_Choice], draw: int | None, game: GameDesign) -> _PlayedTable:
    agents = [Agent(c.model, lab.model(c.model, "base"), c.arms[draw]) for c in chosen]
    talks = converse(agents, game.openings, game.schedule)
    points = [
        aqi_after(agent, [view(t, speaker) for t in talks], game.about)
        for speaker, agent in enumerate(agents)
    ]
    return _PlayedTable(draw, tuple(talks), tuple(points))


def _rows(
    lab: Lab, joint: Joint, chosen: Sequence[_Choice], tables: Sequence[_PlayedTable]
) -> Iterator[Row]:
    """The rows of measured tables, their AQI kept in one file and each transcript in one."""
    if not tables:
        return
    numbers = "-".join(map(str, joint))
    tensors = {
        f"{_which(t.draw)}.{i}": torch.from_numpy(aqi)
        for t in tables
        for i, aqi in enumerate(t.aqi)
    }
    kept = lab.keep(f"{numbers}.safetensors", tensors)
    for table in tables:
        which = _which(table.draw)
        for i, (one, aqi) in enumerate(zip(chosen, table.aqi, strict=True)):
            yield Row(
                "agent", joint, draw=table.draw, agent=one.model, action=one.action.name,
                source=one.source if table.draw is None else None, value=float(aqi.mean()),
                kl=one.kl[table.draw], kept=kept, cell=f"{which}.{i}",
            )  # fmt: skip
        alike = homophily(np.stack([aqi.mean(axis=0) for aqi in table.aqi])).value
        said = lab.keep_text(f"{numbers}.{which}.talks.jsonl", write_talks(table.talks))
        ends = [t.stop for t in table.talks]
        stops = (ends.count("length"), ends.count("loop"), ends.count("context"))
        yield Row(
            "table", joint, draw=table.draw, action=_named(chosen), value=alike, kept=said,
            stops=stops,
        )  # fmt: skip


def _which(draw: int | None) -> str:
    return "own" if draw is None else f"random{draw}"


def _named(chosen: Sequence[_Choice]) -> str:
    return " / ".join(c.action.name for c in chosen)
