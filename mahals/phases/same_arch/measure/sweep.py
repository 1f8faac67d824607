"""Sweep: which arms does one over a model's own vector have, and what is measured of each?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from mahals.evaluation.arms import (
    as_long_as,
    isotropic,
    null_directions,
    own_and_flipped,
    permuted_layers,
)
from mahals.evaluation.bench import Bench
from mahals.evaluation.cache import cached_doses, cached_scores
from mahals.evaluation.checks import check_acted
from mahals.evaluation.dose import NOT_STEERED, Dosed, Reached, at_lambda
from mahals.evaluation.families import at_every_dose, measure_nulls
from mahals.evaluation.native_vectors import Native, placed
from mahals.evaluation.scores import ArmScores
from mahals.evaluation.selection import SelectionScore, on_selection
from mahals.maths.metrics.aqi import ModelAqi
from mahals.maths.stats.intervals import Floats
from mahals.phase import Lab
from mahals.phases.same_arch.measure.propagation import same_block_aqi
from mahals.phases.same_arch.measure.propensity import ArmPropensities, ask
from mahals.records import seed_of
from mahals.schema import GRID, Label, Unit


@dataclass(frozen=True)
class Strengths:
    """The lambda grid."""

    lambdas: tuple[float, ...]
    unit: Unit
    draws: int  # random directions on it: for the slope of propensity, not for the board


@dataclass(frozen=True)
class Swept:
    """All that was measured of the arms of one operator and placement, in their order."""

    base: ArmScores
    dosed: tuple[Dosed, ...]
    found: tuple[ArmScores, ...]
    same_block: tuple[ModelAqi, ...]  # were later blocks not to answer
    asked: ArmPropensities
    selected: Mapping[int, SelectionScore]
    missed: tuple[str, ...]

    def tensors(self) -> dict[str, torch.Tensor]:
        """What the evidence file holds beside influence and refusals."""
        found = self.asked.tensors()
        if any(a is not self.base.aqi for a in self.same_block):
            influence = np.stack([a.influence for a in self.same_block])
            found["same_block"] = torch.from_numpy(influence)
        return found


def own_arms(at: Bench, label: Label, own: Native, grid: Strengths, lab: Lab) -> Reached:
    """The vector and its flip at each lambda and at each dose of the suite.

    On the lambda grid also a few random directions; at the headline dose also the vector's layers
    permuted. With the unit `state` each placed vector is as long at its block as the base's states
    are in the mean, times lambda.
    """
    vectors = placed(own.values, label.layers, label.placement)
    both = own_and_flipped(label, vectors)
    seed = seed_of("random directions", at.loaded.key, lab.seed)
    random = isotropic(label, vectors, grid.draws, seed) if grid.draws else []
    on_grid = [*both, *random]
    sized = as_long_as(on_grid, own.state_norm) if grid.unit == "state" else on_grid
    kind = GRID[grid.unit]
    dosed = [d for x in grid.lambdas for d in at_lambda(sized if x else sized[:1], x, kind)]
    reached = at_every_dose(at, both, lab)
    other = permuted_layers(label, own, vectors)
    controls = cached_doses(lab.cache, at, other, at.suite.dose_kl)
    return Reached((*dosed, *reached.dosed, *controls.dosed), (*reached.missed, *controls.missed))


def run_sweep(at: Bench, label: Label, own: Native, grid: Strengths, lab: Lab) -> Swept:
    """Measures every arm and both families of nulls, and of some what only a sweep has.

    Raises RuntimeError where strength 0 moves something, or another strength nothing.
    """
    reached = own_arms(at, label, own, grid, lab)
    arms = [NOT_STEERED.arm, *(d.arm for d in reached.dosed)]
    base, *found = cached_scores(lab.cache, at, arms, neutral=True)
    vectors = placed(own.values, label.layers, label.placement)
    seed = seed_of("random directions", at.loaded.key, lab.seed)
    nulls = measure_nulls(at, null_directions(label, own, vectors, at.suite.nulls, seed), lab)
    dosed, found = (*reached.dosed, *nulls.dosed), [*found, *nulls.found]
    check_acted(dosed, [m.is_unmoved(base) for m in found])
    tried = [i for i, d in enumerate(dosed) if d.label.arm == "steered" and d.strength]
    chosen = on_selection(lab, at.loaded.key, at.suite, [dosed[i] for i in tried])
    return Swept(
        base,
        dosed,
        tuple(found),
        tuple(same_block_aqi(at, [d.arm for d in dosed], base.aqi)),
        ask(at, dosed, grid.draws),
        dict(zip(tried, chosen, strict=True)),
        (*reached.missed, *nulls.missed),
    )


def mean_propensity(at: Bench, values: Floats | None, label: int) -> float | None:
    """The mean propensity over the answered prompts of a label."""
    if values is None:
        return None
    chosen = [at.prompts[i].label == label for i in at.answered]
    return float(values[chosen].mean())
