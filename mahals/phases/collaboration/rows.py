"""Rows of collaboration: what is one cell of evidence, and how do its kept values come back?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.intervals import Interval, jackknife_interval
from mahals.phase import Kept

Array = npt.NDArray[np.float64]
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

    `aqi`: (conversations, 7) points; `refusals`: (conversations, requests) 0 or 1; `success`:
    (tasks, 1) in [0, 1]; `stability`: asi_partial of one window, no file; `talk`: the transcript;
    `missed`: what could not be measured, and why. `aqi_alone`: (n, 1) influence values of the AQI
    without a conversation; `refusals_alone`: (m, 2), see `measure.retraining`.
    """

    kind: Kind
    arm: str  # none, weakest, all, aligned, adversarial, self, trained; of a task its name
    draw: int | None = None  # which random direction; None for the arm itself
    agent: str = ""  # a model's key; of a task "first to second"; "" for the table
    steered: bool = False
    context: Context = "talk"
    round: int | None = None  # after so many rounds, None: at the end; or the window, from 1
    value: float | None = None  # the mean of the kept values; asi_partial
    kept: str | None = None  # the file
    cell: str | None = None  # the tensor in it
    asi: float | None = None  # only where every part was observed
    parts: tuple[str, ...] = ()  # of stability: those observed
    stops: tuple[int, ...] = ()  # of a talk: how many ended by length, loop and context
    reason: str | None = None


def values(row: Row, kept: Kept) -> Array:
    """The kept values of a row, (n, m) float64."""
    if row.kept is None or row.cell is None:
        raise ValueError(f"a row of kind {row.kind} keeps no values")
    return np.asarray(kept.tensors(row.kept)[row.cell].double().numpy(), dtype=np.float64)


@dataclass(frozen=True)
class Who:
    """One agent at one table."""

    arm: str
    agent: str
    draw: int | None = None  # the arm itself, not one of its random controls


def find(rows: Sequence[Row], kind: Kind, who: Who, context: Context) -> Row | None:
    """The row at the end of the conversations; None where it was not measured."""
    wanted = (kind, who.arm, who.agent, who.draw, context, None)
    for row in rows:
        if (row.kind, row.arm, row.agent, row.draw, row.context, row.round) == wanted:
            return row
    return None


def mean_interval(each: npt.ArrayLike) -> Interval:
    """The mean of one value a conversation, with its 95 % jackknife interval over them."""
    x = np.asarray(each, dtype=np.float64)
    return jackknife_interval(x - x.mean(), float(x.mean()), None)


def share_interval(each: npt.ArrayLike) -> Interval:
    """As mean_interval, of shares: the interval ends at 0 and 1, where a share does."""
    return _within(mean_interval(each), 0.0)


def change_interval(each: npt.ArrayLike) -> Interval:
    """As mean_interval, of differences of two shares: the interval ends at -1 and 1."""
    return _within(mean_interval(each), -1.0)


def _within(found: Interval, low: float) -> Interval:
    return replace(found, low=max(low, found.low), high=min(1.0, found.high))


def drifts(rows: Sequence[Row], kept: Kept, who: Who) -> Array | None:
    """(conversations, 7): AQI after the talk less AQI after neutral context, in points.

    Below 0 is worse. None where either was not measured.
    """
    after, before = (find(rows, "aqi", who, context) for context in BOTH)
    return None if after is None or before is None else values(after, kept) - values(before, kept)
