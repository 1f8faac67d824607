"""Null families: what do arms do at the same dose that hold nothing of what the vector holds?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mahals.evaluation.arms import Direction
from mahals.evaluation.bench import Bench
from mahals.evaluation.cache import cached_doses, cached_set
from mahals.evaluation.dose import Dosed, Reached
from mahals.evaluation.scores import ArmScores
from mahals.phase import Lab
from mahals.schema import NULLS


@dataclass(frozen=True)
class MeasuredArms:
    """Arms that reached their dose, what was measured of each, and why the others did not."""

    dosed: tuple[Dosed, ...]
    found: tuple[ArmScores, ...]
    missed: tuple[str, ...]


def measure_nulls(at: Bench, nulls: Sequence[Direction], lab: Lab) -> MeasuredArms:
    """The null arms of a target at each dose of the suite and beyond, one dose after another.

    They belong to the target, its blocks and the dose, whatever vector they stand beside: the same
    set in another phase is taken from the cache, answers too.
    """
    dosed: list[Dosed] = []
    found: list[ArmScores] = []
    missed: list[str] = []
    for kl in at.suite.null_kls:
        reached = cached_doses(lab.cache, at, nulls, kl)
        if reached.dosed:
            found += cached_set(lab.cache, at, [d.arm for d in reached.dosed])
        dosed += reached.dosed
        missed += reached.missed
    return MeasuredArms(tuple(dosed), tuple(found), tuple(missed))


def at_every_dose(at: Bench, some: Sequence[Direction], lab: Lab) -> Reached:
    """The directions at each dose of the suite, those of null families beyond them too."""
    dosed: list[Dosed] = []
    missed: list[str] = []
    nulls = [d for d in some if d.label.arm in NULLS]
    for kl in at.suite.null_kls:
        here = some if kl in at.suite.kls else nulls
        reached = cached_doses(lab.cache, at, here, kl)
        dosed += reached.dosed
        missed += reached.missed
    return Reached(tuple(dosed), tuple(missed))
