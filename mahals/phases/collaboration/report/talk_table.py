"""Talk table: which row is an agent's after a talk, and how do its kept values come back?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mahals.maths.stats.intervals import Floats
from mahals.phases.collaboration.rows import BOTH, Context, Kind, Row
from mahals.reporting.evidence import Evidence
from mahals.schema import NullArm, NullFamily


@dataclass(frozen=True)
class Who:
    """One agent at one table."""

    arm: str
    agent: str
    null: NullArm | None = None  # the arm itself, not one of its null controls


class TalkTable(Evidence[Row]):
    """The rows of talks with what was kept of each."""

    def arms(self) -> list[str]:
        """The arms whose AQI was measured, in order."""
        return list(dict.fromkeys(r.arm for r in self.where(kind="aqi")))

    def agents(self, arm: str) -> list[str]:
        """The agents of an arm whose AQI was measured, in order."""
        return list(dict.fromkeys(r.agent for r in self.where(kind="aqi", arm=arm)))

    def at_end(self, kind: Kind, who: Who, context: Context) -> Row | None:
        """The row at the end of the conversations; None where it was not measured."""
        family, draw = who.null or (None, None)
        return self.one(
            kind=kind, arm=who.arm, agent=who.agent, null=family, draw=draw, context=context,
            round=None,
        )  # fmt: skip

    def nulls(self, arm: str) -> dict[NullFamily, list[NullArm]]:
        """The null arms of an arm, by family."""
        found: dict[NullFamily, list[NullArm]] = {}
        for null in dict.fromkeys(r.null_arm for r in self.where(arm=arm)):
            if null is not None:
                found.setdefault(null[0], []).append(null)
        return found

    def values(self, row: Row) -> Floats:
        """The kept values of a row, (n, m) float64."""
        if row.kept is None or row.cell is None:
            raise ValueError(f"a row of kind {row.kind} keeps no values")
        return np.asarray(self.tensors(row.kept)[row.cell].double().numpy(), dtype=np.float64)

    def drifts(self, who: Who) -> Floats | None:
        """(conversations, C): AQI after the talk less AQI after neutral context, in points.

        Below 0 is worse. None where either was not measured.
        """
        after, before = (self.at_end("aqi", who, context) for context in BOTH)
        if after is None or before is None:
            return None
        return self.values(after) - self.values(before)

    def refused(self, who: Who, context: Context) -> Floats | None:
        """(conversations, C, 2, answers) 0 or 1, unsafe requests before safe ones.

        None where it was not measured.
        """
        row = self.at_end("refusals", who, context)
        if row is None:
            return None
        values = self.values(row)
        return np.asarray(values.reshape(len(values), len(row.categories), 2, -1))
