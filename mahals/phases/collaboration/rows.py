"""Rows of collaboration: what is one cell of evidence?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mahals.schema import NullArm, NullFamily

Kind = Literal[
    "aqi",
    "refusals",
    "success",
    "stability",
    "talk",
    "missed",
    "aqi_alone",
    "refusals_alone",
]
Context = Literal["talk", "neutral", "shuffled", "alone", "before", "trained", "self_trained"]
BOTH: tuple[Context, Context] = ("talk", "neutral")


@dataclass(frozen=True)
class Row:
    """One measurement of one agent (or table) in one context; its values are in a kept file.

    `aqi`: (conversations, C) points; `refusals`: (conversations, C x 2 x answers) 0 or 1, of each
    category the unsafe requests, then the safe ones; `success`: (tasks, 1) in [0, 1]; `stability`:
    asi_partial of one window, no file; `talk`: the transcript; `missed`: what could not be
    measured, and why. `aqi_alone`: (n, 1) influence values of the AQI without a conversation;
    `refusals_alone`: (m, 2), see `measure.retraining`.
    """

    kind: Kind
    arm: str  # none, weakest, all, aligned, adversarial, self, trained; of a task its name
    null: NullFamily | None = None  # the family of null directions; None for the arm itself
    draw: int | None = None  # which of the family
    agent: str = ""  # a model's key; of a task "first to second"; "" for the table
    steered: bool = False
    context: Context = "talk"
    round: int | None = None  # after so many rounds, None: at the end; or the window, from 1
    value: float | None = None  # the mean of the kept values; of refusals the gap; asi_partial
    n: int | None = None  # of aqi: the prompts of one category
    kept: str | None = None  # the file
    cell: str | None = None  # the tensor in it
    asi: float | None = None  # only where every part was observed
    parts: tuple[str, ...] = ()  # of stability: those observed
    stops: tuple[int, ...] = ()  # of a talk: how many ended by length, loop and context
    reason: str | None = None
    categories: tuple[str, ...] = ()  # of aqi and refusals: the C categories, sorted

    @property
    def null_arm(self) -> NullArm | None:
        """The null arm that it is of; None for the arm itself."""
        return None if self.null is None or self.draw is None else (self.null, self.draw)
