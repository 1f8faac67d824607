"""Rows of equilibrium: what is one cell of evidence, and how do rows become cells again?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mahals.data.categories import category_column
from mahals.maths.games.analysis import GameLabels
from mahals.maths.games.payoffs import Joint, Weights
from mahals.maths.games.solvers import Search
from mahals.maths.stats.bootstrap import Resampling
from mahals.schema import NullArm, NullFamily

FAMILIES: tuple[NullFamily, ...] = ("random", "shuffled_pairs")
"""The families of null games."""


@dataclass(frozen=True)
class Rules:
    """Who plays, what was to be measured, and how the game is read from it."""

    players: tuple[str, ...]
    actions: tuple[str, ...]  # of every player, in the order of their numbers
    steers: tuple[bool, ...]  # of every action, whether it steers at all
    joints: tuple[Joint, ...]  # to be measured
    of: int  # joint actions that there are
    conversations: int  # at each joint action
    categories: tuple[str, ...]  # of the prompts, sorted
    prompts: int  # per category and label, that AQI is of
    draws: int  # null games of each family: in each, every agent has a null direction of its own
    weights: Weights
    factors: tuple[float, ...]  # of the weights of homophily and of cost
    redraws: int
    search: Search
    seed: int

    @property
    def table(self) -> GameLabels:
        """Players, their actions and the games' categories, called as their metric columns."""
        names = tuple(category_column(c).removeprefix("aqi_") for c in self.categories)
        return GameLabels(self.players, (self.actions,) * len(self.players), names)

    @property
    def resampling(self) -> Resampling:
        """How payoffs are redrawn."""
        return Resampling(self.redraws, self.seed)

    def steered(self, joint: Joint) -> bool:
        """Whether anybody is steered at a joint action."""
        return any(self.steers[a] for a in joint)

    def named(self, joint: Joint) -> str:
        """A joint action in words."""
        return " / ".join(self.actions[a] for a in joint)


@dataclass(frozen=True)
class Row:
    """One measurement at one joint action.

    `design`: the rules, once; `agent`: one agent's behaviour after every conversation, its AQI
    beside, and its price; `table`: the likeness of the agents, and the transcript; `missed`: what
    could not be measured.
    """

    kind: Literal["design", "agent", "table", "missed"]
    joint: Joint  # the number of each agent's action
    null: NullFamily | None = None  # the family of the null game; None: the vectors themselves
    draw: int | None = None  # which null game of the family
    agent: str = ""  # a model's key; "" for the table
    action: str = ""  # of the agent, or of all
    source: str | None = None  # whose vector steers the agent; None: nobody's
    value: float | None = None  # agent: refusal gap; table: how alike they answer, [0, 1]
    aqi: float | None = None  # agent: mean AQI, points; None in a null game
    kappa: float | None = None  # table: mean Cohen's kappa of two agents' refusals; None: undefined
    kl: float | None = None  # nats per token from the unsteered model, the larger of two texts
    kept: str | None = None  # agent: file of the measurements; table: the transcript
    cell: str | None = None  # agent: its tensors <cell>.refused and, no null game, <cell>.aqi
    stops: tuple[int, ...] = ()  # of the table's talks: how many ended by length, loop and context
    reason: str | None = None
    rules: Rules | None = None

    @property
    def game(self) -> NullArm | None:
        """The null game that it is of; None for the vectors themselves."""
        if self.null is None or self.draw is None:
            return None
        return (self.null, self.draw)
