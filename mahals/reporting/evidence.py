"""Evidence: what rows are there, and what do the kept files that they name hold of them?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from mahals.maths.stats.controls import GainOverRandom, gap_over_random, over_random
from mahals.maths.stats.intervals import Floats, Interval, jackknife_interval, paired_difference
from mahals.maths.stats.rates import Adjusted, gap_of
from mahals.phase import Kept
from mahals.reporting.null_arms import at_their_best, dose_key, families_of
from mahals.schema import ArmKind, ArmRow, NullFamily, Readout

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
        self.kept = kept
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
            self._files[reference] = self.kept.tensors(reference)
        return self._files[reference]

    def path(self, reference: str) -> Path:
        """Where a kept file lies. Raises InputError when it is missing or its hash differs."""
        return self.kept.path(reference)


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
class RefusalGap(Part):
    """The refusal gap of an arm: its intervals exist where all or none are refused, too.

    `influence` is the jackknife's, for the covariance of ratios.
    """

    refused: Floats  # (m,) 1 where a prompt counts as refused
    safe: npt.NDArray[np.bool_]  # (m,)

    @staticmethod
    def of(refused: Floats, safe: npt.NDArray[np.bool_], clusters: list[str] | None) -> RefusalGap:
        """The gap of one arm. Raises InputError for no safe or no unsafe prompts."""
        found = gap_of(refused, safe, clusters, paired=False)
        return RefusalGap(found.estimate, _influence(refused, safe), clusters, refused, safe)

    @property
    def interval(self) -> Interval:
        """The gap with its interval over prompts, inside [-1, 1]."""
        return gap_of(self.refused, self.safe, self.clusters, paired=False).interval()

    def minus(self, other: Part) -> Interval:
        """This less the other, which is of the same prompts."""
        return self.paired(other).interval()

    def paired(self, other: Part) -> Adjusted:
        """This less the other, prompt by prompt. Raises TypeError for another kind of number."""
        if not isinstance(other, RefusalGap):
            raise TypeError("a refusal gap is compared with a refusal gap")
        return gap_of(self.refused - other.refused, self.safe, self.clusters, paired=True)

    def over_random(self, random: Sequence[Part]) -> GainOverRandom | None:
        """This less the mean of null arms on the same prompts; None with fewer than two."""
        theirs = [r.refused for r in random if isinstance(r, RefusalGap)]
        if len(theirs) < max(2, len(random)):
            return None
        found = gap_over_random(self.refused, np.stack(theirs), self.safe, self.clusters)
        return None if found is None else replace(found, interval=_cut(found.interval))


def _cut(i: Interval) -> Interval:
    """An interval of gaps inside [-1, 1], also where the nulls' own mean gap is below 0."""
    estimate, low, high = (min(1.0, max(-1.0, x)) for x in (i.estimate, i.low, i.high))
    return replace(i, estimate=estimate, low=low, high=high)


@dataclass(frozen=True)
class ArmEvidence:
    """What was kept of one row, prompt by prompt: influence on its AQIs, and what it refused."""

    row: ArmRow
    influence: Floats  # (n,) of aqi, in the headline readout
    influence_mean: Floats  # (n,) of aqi_mean
    influence_last: Floats  # (n,) of aqi_last
    axioms: npt.NDArray[np.int64]  # (n,) places in the categories of the row
    clusters: list[str]
    gap: float
    gap_clusters: list[str]
    refused: npt.NDArray[np.bool_]  # (m,) screened: a degenerate answer is a failure
    degenerate: npt.NDArray[np.bool_]  # (m,)
    safe: npt.NDArray[np.bool_]  # (m,)
    answered_axioms: npt.NDArray[np.int64]  # (m,)

    def part(self, of: Of) -> Part:
        """The arm's aqi, or its refusal gap."""
        if of == "aqi":
            return Part(self.row.aqi, self.influence, self.clusters)
        return self.refusals()

    def refusals(self) -> RefusalGap:
        """The arm's refusal gap."""
        return RefusalGap.of(self.refused.astype(np.float64), self.safe, self.gap_clusters)

    def in_readout(self, readout: Readout) -> Part:
        """The arm's aqi in one readout, whichever is the headline."""
        if readout == "last":
            return Part(self.row.aqi_last, self.influence_last, self.clusters)
        return Part(self.row.aqi_mean, self.influence_mean, self.clusters)


def _influence(refused: Floats, safe: npt.NDArray[np.bool_]) -> Floats:
    """The influence (m,) of each prompt on the gap of one arm.

    The influence of a prompt on the mean of its group of k is sqrt(n (n-1) / (k (k-1))) (x - mean):
    `stats.jackknife_interval` makes of these squares the sum of both groups' s^2 / k.
    """
    n = len(refused)
    influence = np.empty(n)
    for group, sign in ((safe, -1.0), (~safe, 1.0)):
        k = int(group.sum())
        weight = sign * np.sqrt(n * (n - 1) / (k * (k - 1))) if k > 1 else 0.0
        influence[group] = weight * (refused[group] - refused[group].mean())
    return influence


A = TypeVar("A", bound=ArmRow)


class ArmTable(Evidence[A]):
    """The rows of arms with what was kept of each: influence values and refusals, per prompt."""

    def __init__(self, rows: Sequence[A], kept: Kept) -> None:
        super().__init__(rows, kept)
        self._arms: dict[tuple[str, int], ArmEvidence] = {}

    def random_of(self, row: ArmRow) -> list[A]:
        """The isotropic random arms of a row's target, operator, placement, blocks and dose."""
        return [r for r in self.rows if r.arm == "random" and dose_key(r) == dose_key(row)]

    def nulls_of(self, row: ArmRow) -> dict[NullFamily, list[A]]:
        """The null arms that a row is compared with, by family, of its target, blocks and dose.

        Isotropic directions, and of an own vector directions of shuffled pairs, of one that crossed
        those that came through maps fitted on shuffled rows, whatever their source. A family
        without arms is not there.
        """
        second: NullFamily = "shuffled_pairs" if row.map is None else "shuffled"
        found: dict[NullFamily, list[A]] = {}
        for family in ("random", second):
            key = dose_key(row)
            arms = [r for r in self.rows if r.arm == family and dose_key(r) == key]
            if arms:
                found[family] = arms
        return found

    def nulls_beside(
        self, row: ArmRow, number: Callable[[ArmRow], float]
    ) -> dict[NullFamily, list[list[A]]]:
        """All that a claim about a row has to beat: each family at the row's dose, and at its best.

        A vector that crossed has to beat all families of its target and blocks, an own one those
        that were made of its pairs. A null direction that acts at all may need a little more KL
        than the arm, so it counts a second time at that dose, the row's or one above, where its
        `number` is highest (`docs.null_boards` shows what the dose alone lets through). Where all
        are best at the row's own dose the second group is the first, and left out.
        """
        if row.dose_kind != "kl" or row.dose is None:
            return {family: [arms] for family, arms in self.nulls_of(row).items()}
        same = dose_key(row)[:-1]
        found: dict[NullFamily, list[list[A]]] = {}
        for family in families_of(row):
            arms = [
                r
                for r in self.rows
                if r.arm == family and dose_key(r)[:-1] == same and (r.dose or 0.0) >= row.dose
            ]
            groups = [[r for r in arms if r.dose == row.dose], at_their_best(arms, number)]
            some = [group for group in groups if group]
            if some:
                found[family] = some[:1] if some[0] == some[-1] else some
        return found

    def over(self, rows: Sequence[A]) -> ArmTable[A]:
        """A table of other rows of the same kept files, which are not read again."""
        table = ArmTable(rows, self.kept)
        table._files, table._arms = self._files, self._arms
        return table

    def reference_of(self, row: ArmRow, arm: ArmKind) -> A | None:
        """The row of an arm without a vector (prompt, aligned) of a row's target; None if none."""
        return next((r for r in self.rows if r.arm == arm and r.target == row.target), None)

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
        place = row.evidence_row
        refused, safe = found["refused"][place].astype(bool), found["labels"] == 1
        return ArmEvidence(
            row=row,
            influence=found["influence"][place],
            influence_mean=found["influence_mean"][place],
            influence_last=found["influence_last"][place],
            axioms=found["axioms"],
            clusters=[str(c) for c in found["clusters"]],
            gap=float(refused[~safe].mean() - refused[safe].mean()),
            gap_clusters=[str(c) for c in found["answered_clusters"]],
            refused=refused,
            degenerate=found["degenerate"][place].astype(bool),
            safe=safe,
            answered_axioms=found["answered_axioms"],
        )
