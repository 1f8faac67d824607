"""Sweep: which arms does one over a model's own vector have, and what is measured of each?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from mahals.evaluation.arms import as_long_as, directions, own_controls
from mahals.evaluation.bench import ArmScores, Bench
from mahals.evaluation.cache import cached_doses, cached_scores
from mahals.evaluation.checks import check_acted
from mahals.evaluation.dose import NOT_STEERED, Reached, at_lambda
from mahals.evaluation.native_vectors import Native, placed
from mahals.maths.metrics.aqi import ModelAqi
from mahals.maths.stats.intervals import Floats
from mahals.phase import Lab
from mahals.phases.same_arch.measure.propagation import same_block_aqi
from mahals.phases.same_arch.measure.propensity import ArmPropensities, ask
from mahals.phases.same_arch.measure.selection import SelectionScore, on_selection
from mahals.records import seed_of
from mahals.schema import GRID, Label, Unit


@dataclass(frozen=True)
class Strengths:
    """The lambda grid."""

    lambdas: tuple[float, ...]
    unit: Unit


def swept_arms(at: Bench, label: Label, own: Native, grid: Strengths, lab: Lab) -> Reached:
    """The vector, its flip and the random directions at each lambda, and all at the headline dose.

    With the unit `state` each placed vector is as long at its block as the base's states are in the
    mean, times lambda. The vectors of shuffled pairs and the permuted layers are at the headline
    dose alone.
    """
    vectors = placed(own.values, label.layers, label.placement)
    seed = seed_of("random directions", at.loaded.key, lab.seed)
    found = directions(label, vectors, at.suite.random_directions, seed)
    sized = as_long_as(found, own.state_norm) if grid.unit == "state" else found
    kind = GRID[grid.unit]
    dosed = [d for x in grid.lambdas for d in at_lambda(sized if x else sized[:1], x, kind)]
    controls = own_controls(label, own, vectors)
    reached = cached_doses(lab.cache, at, [*found, *controls], at.suite.dose_kl)
    return Reached((*dosed, *reached.dosed), reached.missed)


@dataclass(frozen=True)
class Swept:
    """All that was measured of the arms of one operator and placement, in their order."""

    base: ArmScores
    found: tuple[ArmScores, ...]
    same_block: tuple[ModelAqi, ...]  # were later blocks not to answer
    asked: ArmPropensities
    selected: Mapping[int, SelectionScore]

    def tensors(self) -> dict[str, torch.Tensor]:
        """What the evidence file holds beside influence and refusals."""
        found = self.asked.tensors()
        if any(a is not self.base.aqi for a in self.same_block):
            influence = np.stack([a.influence for a in self.same_block])
            found["same_block"] = torch.from_numpy(influence)
        return found


def run_sweep(at: Bench, reached: Reached, propensity_draws: int, lab: Lab) -> Swept:
    """Measures every arm, and what of it only a sweep has; `found` is in the arms' order.

    Raises RuntimeError where strength 0 moves something, or another strength nothing.
    """
    dosed = reached.dosed
    arms = [d.arm for d in dosed]
    base, *found = cached_scores(lab.cache, at, [NOT_STEERED.arm, *arms], neutral=True)
    check_acted(dosed, [m.is_unmoved(base) for m in found])
    tried = [i for i, d in enumerate(dosed) if d.label.arm == "steered" and d.label.on_grid]
    tried = [i for i in tried if dosed[i].strength]
    chosen = on_selection(lab, at.loaded.key, at.suite, [dosed[i] for i in tried])
    return Swept(
        base,
        tuple(found),
        tuple(same_block_aqi(at, arms, base.aqi)),
        ask(at, dosed, propensity_draws),
        dict(zip(tried, chosen, strict=True)),
    )


def mean_propensity(at: Bench, values: Floats | None, label: int) -> float | None:
    """The mean propensity over the answered prompts of a label."""
    if values is None:
        return None
    chosen = [at.prompts[i].label == label for i in at.answered]
    return float(values[chosen].mean())
