"""Measure of same_arch: does a model's own vector make it refuse what is unsafe, beyond nulls?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np

from mahals.evaluation.arms import by_axiom_arms, own_label
from mahals.evaluation.bench import Bench, bench
from mahals.evaluation.checks import check_scope
from mahals.evaluation.dose import NOT_STEERED
from mahals.evaluation.native_vectors import MethodName, Native, native
from mahals.evaluation.references import references
from mahals.evaluation.row_writer import keep_evidence, row_context, to_row
from mahals.evaluation.scores import propensities
from mahals.evaluation.suite import Layers, Suite, depth_of, steered_blocks
from mahals.models.steering.batch_invariance import check_batched
from mahals.models.steering.operators import OperatorName
from mahals.models.steering.scope import Scope
from mahals.phase import Lab
from mahals.phases.same_arch.measure.axiom_effects import keep_effects
from mahals.phases.same_arch.measure.propensity import ArmPropensities
from mahals.phases.same_arch.measure.sweep import Strengths, mean_propensity, run_sweep
from mahals.phases.same_arch.rows import Row
from mahals.records import AtLeast, Count
from mahals.schema import Label, Unit

Placement = Literal["raw", "increments"]
SPLIT = "evaluation"


@dataclass(frozen=True)
class Params:
    """What is swept: strengths, operators and placements of one kind of vector."""

    lambdas: Annotated[tuple[float, ...], AtLeast(1)]  # 0 checks that nothing moves
    unit: Unit  # of lambda: the vector's norm, or the mean length of the base's states at the block
    method: MethodName
    layers: Layers
    operators: Annotated[tuple[OperatorName, ...], AtLeast(1)]
    placements: Annotated[tuple[Placement, ...], AtLeast(1)]
    propensity_draws: Count  # random directions whose propensity is measured over the lambdas
    scope: Scope  # at which tokens
    effects: bool  # the vector of each axiom on each axiom, at the headline dose
    suite: Suite


@dataclass(frozen=True)
class Task:
    """One operator and placement of one model; both None for the arms that are not steered."""

    models: tuple[str, ...]
    operator: OperatorName | None
    placement: Placement | None


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """The unsteered references, then every operator and placement that differ.

    With one steered block `raw` and `increments` are the same vector: only `raw` is planned.
    """
    blocks = steered_blocks(params.layers, depth_of(lab.entry(lab.unit), lab.weights), lab.weights)
    placements: tuple[Placement, ...] = params.placements if len(blocks) > 1 else ("raw",)
    steered = [Task((lab.unit,), o, p) for o in params.operators for p in placements]
    return [Task((lab.unit,), None, None), *steered]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """The rows of one task; all its arms share prompts, neutral texts and questions."""
    if task.operator is None or task.placement is None:
        yield from _references(task.models[0], params.suite, lab)
        return
    at = bench(lab, task.models[0], "base", params.suite, SPLIT)
    check_scope(at, params.scope)
    own = native(lab, at.loaded.key, params.method, params.suite.single_method)
    label = _label(task, own, at, params, lab)
    grid = Strengths(params.lambdas, params.unit, params.propensity_draws)
    swept = run_sweep(at, label, own, grid, lab)
    check_batched(at.loaded, at.encoded, swept.dosed[-1].arm, at.readout)
    name = f"{task.operator}-{task.placement}"
    effects_kept = None
    if params.effects:
        of_axioms = by_axiom_arms(label, own, at.categories)
        effects_kept = keep_effects(lab, f"{name}-effects", at, of_axioms)
    measured = [(d.label, m) for d, m in zip(swept.dosed, swept.found, strict=True)]
    kept = keep_evidence(lab, name, at, measured, swept.tensors())
    context = row_context(lab, at, swept.base)
    cosine = _cosine(at.loaded.key, own.method, lab)
    for i, (d, m) in enumerate(zip(swept.dosed, swept.found, strict=True)):
        row, chosen = to_row(d.label, d.strength, at, m, context), swept.selected.get(i)
        row = replace(row, **kept.at(i), **({} if chosen is None else chosen.columns))
        steered = row.arm == "steered"
        yield Row(
            **vars(row),
            cosine=cosine if steered else None,
            left_out=own.left_out if steered else None,
            same_block=swept.same_block[i].aqi.estimate - swept.base.aqi.aqi.estimate,
            propensity_unsafe=mean_propensity(at, swept.asked.of(i), 0),
            propensity_safe=mean_propensity(at, swept.asked.of(i), 1),
            effects=effects_kept if steered and row.dose == at.suite.dose_kl else None,
            missed=swept.missed,
        )


def _cosine(key: str, method: str, lab: Lab) -> float:
    """The mean cosine over the blocks of the vector's model, as steering_vectors found it."""
    made = lab.rows("steering_vectors", key)
    return float(np.mean([r.cosine for r in made if r.method == method]))


def _label(task: Task, own: Native, at: Bench, params: Params, lab: Lab) -> Label:
    """The label of the model's own vector, without a dose."""
    blocks = steered_blocks(params.layers, at.loaded.layers, lab.weights)
    label = own_label(own, str(task.operator), blocks)
    return replace(label, placement=task.placement, scope=params.scope)


def _references(key: str, suite: Suite, lab: Lab) -> Iterator[Row]:
    """The unsteered model, the instruction in the prompt, and the aligned checkpoint."""
    among = references(lab, key, suite, SPLIT)
    at = among.at
    context = row_context(lab, at, among.base)
    asked = ArmPropensities(propensities(at, [NOT_STEERED.arm]), (0,))
    kept = keep_evidence(lab, "references", at, among.measured, asked.tensors())
    for i, (label, m) in enumerate(among.measured):
        yield Row(
            **vars(replace(to_row(label, None, at, m, context), **kept.at(i))),
            cosine=None,
            left_out=None,
            same_block=None,
            propensity_unsafe=mean_propensity(at, asked.of(i), 0),
            propensity_safe=mean_propensity(at, asked.of(i), 1),
            effects=None,
            missed=among.missed,
        )
