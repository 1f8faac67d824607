"""Evidence: what rows are there, and what do the kept files that they name hold of them?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.controls import GainOverRandom, over_random
from mahals.maths.stats.intervals import Floats, Interval, jackknife_interval, paired_difference
from mahals.phase import Kept
from mahals.schema import ArmRow

if TYPE_CHECKING:
    from torch import Tensor


R = TypeVar("R")


class Evidence(Generic[R]):
    """Rows, and the files that they name, each read once.

    What is told of a study is a function of one such table: `summarize` and `draw` make it of their
    rows and kept files, and all that they call takes the table.
    """

    def __init__(self, rows: Sequence[R], kept: Kept) -> None:
        self.rows: tuple[R, ...] = tuple(rows)
        self._kept = kept
        self._files: dict[str, dict[str, Tensor]] = {}

    def where(self, **columns: object) -> list[R]:
        """The rows whose columns have these values, in order; AttributeError for an unknown one."""
        return [r for r in self.rows if all(getattr(r, k) == v for k, v in columns.items())]

    def one(self, **columns: object) -> R | None:
        """The row whose columns have these values, None without one. ValueError for several."""
        found = self.where(**columns)
        if len(found) > 1:
            raise ValueError(f"{len(found)} rows have {columns}: name more columns")
        return found[0] if found else None

    def values_of(self, column: str) -> list[Any]:
        """The values of a column, each once, in the order of the rows."""
        return list(dict.fromkeys(getattr(r, column) for r in self.rows))

    def tensors(self, reference: str) -> dict[str, Tensor]:
        """The tensors of a kept file. Raises InputError when it is missing or its hash differs."""
        if reference not in self._files:
            self._files[reference] = self._kept.tensors(reference)
        return self._files[reference]

    def path(self, reference: str) -> Path:
        """Where a kept file lies. Raises InputError when it is missing or its hash differs."""
        return self._kept.path(reference)


Of = Literal["aqi", "gap"]
OF: tuple[Of, ...] = ("aqi", "gap")
"""AQI in points; `gap` is refusal_unsafe - refusal_safe, a degenerate answer being a failure."""


@dataclass(frozen=True)
class Part:
    """One number of an arm, with what each prompt does to it."""

    estimate: float
    influence: Floats  # (n,)
    clusters: list[str] | None  # None: each prompt is its own

    @staticmethod
    def mean(values: npt.ArrayLike, clusters: list[str] | None) -> Part:
        """The mean of one value a prompt."""
        each = np.asarray(values, dtype=np.float64)
        return Part(float(each.mean()), each - each.mean(), clusters)

    @property
    def interval(self) -> Interval:
        """The number with its interval over prompts."""
        return jackknife_interval(self.influence, self.estimate, self.clusters)

    def minus(self, other: Part) -> Interval:
        """This less the other, which is of the same prompts."""
        return paired_difference(
            self.influence, other.influence, self.estimate, other.estimate, self.clusters
        )

    def over_random(self, random: Sequence[Part]) -> GainOverRandom | None:
        """This less the mean of some others; None where that has no interval."""
        draws = [(r.estimate, r.influence) for r in random]
        return over_random(self.estimate, self.influence, draws, self.clusters)


@dataclass(frozen=True)
class ArmEvidence:
    """One row's estimate and influence values of aqi and of the refusal gap, prompt by prompt."""

    row: ArmRow
    influence: Floats  # (n,) of aqi
    axioms: npt.NDArray[np.int64]  # (n,) places in AXIOMS
    clusters: list[str]
    gap: float
    gap_influence: Floats  # (m,)
    gap_clusters: list[str]
    refused: npt.NDArray[np.bool_]  # (m,) screened: a degenerate answer is a failure
    safe: npt.NDArray[np.bool_]  # (m,)
    answered_axioms: npt.NDArray[np.int64]  # (m,)

    def part(self, of: Of) -> Part:
        """The arm's aqi, or its refusal gap."""
        if of == "aqi":
            return Part(self.row.aqi, self.influence, self.clusters)
        return Part(self.gap, self.gap_influence, self.gap_clusters)


def dose_key(row: ArmRow) -> tuple[object, ...]:
    """What a row shares with its random controls."""
    return (row.target, row.operator, row.placement, row.layers, row.dose_kind, row.dose)


def _gap(refused: Floats, safe: npt.NDArray[np.bool_]) -> tuple[float, Floats]:
    """Refusal of unsafe minus refusal of safe prompts, and its influence values.

    The influence of a prompt on the mean of its group of k is sqrt(n (n-1) / (k (k-1))) (x - mean):
    `stats.jackknife_interval` makes of these squares the sum of both groups' s^2 / k.
    """
    n = len(refused)
    influence = np.empty(n)
    means = {}
    for group, sign in ((safe, -1.0), (~safe, 1.0)):
        means[sign] = refused[group].mean()
        k = int(group.sum())
        weight = sign * np.sqrt(n * (n - 1) / (k * (k - 1)))
        influence[group] = weight * (refused[group] - means[sign])
    return float(means[1.0] - means[-1.0]), influence


A = TypeVar("A", bound=ArmRow)


class ArmTable(Evidence[A]):
    """The rows of arms with what was kept of each: influence values and refusals, per prompt."""

    def __init__(self, rows: Sequence[A], kept: Kept) -> None:
        super().__init__(rows, kept)
        self._arms: dict[tuple[str, int], ArmEvidence] = {}

    def random_of(self, row: ArmRow) -> list[A]:
        """The random arms of a row's target, operator, placement, blocks and dose."""
        return [r for r in self.rows if r.arm == "random" and dose_key(r) == dose_key(row)]

    def unsteered_of(self, row: ArmRow) -> A:
        """The unsteered model of a row's target. ValueError where it was not measured."""
        found = next(
            (r for r in self.rows if r.arm == "unsteered" and r.target == row.target), None
        )
        if found is None:
            raise ValueError(f"{row.target} has no unsteered row")
        return found

    def arms(self, rows: Sequence[ArmRow]) -> list[ArmEvidence]:
        """What was kept of each of these rows, in order."""
        return [self.arm(row) for row in rows]

    def arm(self, row: ArmRow) -> ArmEvidence:
        """What was kept of a row."""
        key = (row.evidence, row.evidence_row)
        if key not in self._arms:
            self._arms[key] = self._read(row)
        return replace(self._arms[key], row=row)

    def _read(self, row: ArmRow) -> ArmEvidence:
        found = {k: v.numpy() for k, v in self.tensors(row.evidence).items()}
        refused, safe = found["refused"][row.evidence_row], found["labels"] == 1
        gap, influence = _gap(refused.astype(np.float64), safe)
        return ArmEvidence(
            row,
            found["influence"][row.evidence_row],
            found["axioms"],
            [str(c) for c in found["clusters"]],
            gap,
            influence,
            [str(c) for c in found["answered_clusters"]],
            refused.astype(bool),
            safe,
            found["answered_axioms"],
        )
