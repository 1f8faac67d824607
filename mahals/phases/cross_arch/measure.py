"""Measure of cross_arch: does another family's vector move this model, by how much of its own?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from mahals.evaluation.arms import Direction, cosine_to, directions, own_label
from mahals.evaluation.bench import Bench, bench
from mahals.evaluation.cache import cached_doses, cached_scores
from mahals.evaluation.checks import check_acted
from mahals.evaluation.dose import NOT_STEERED, Reached, at_lambda
from mahals.evaluation.native_vectors import MethodName, Native, native, placed
from mahals.evaluation.row_writer import keep_evidence, row_context, to_row
from mahals.evaluation.suite import Suite, steered_blocks
from mahals.evaluation.transfer.arms import (
    Control,
    TransferPlan,
    TransferredDirection,
    VectorTransfer,
    check_plan,
    transfer_directions,
)
from mahals.evaluation.transfer.states import TextReading, read_pool, state_lengths
from mahals.maths.transfer.fitting import MapKind
from mahals.maths.transfer.layers import LayerMatch
from mahals.models.steering.batch_invariance import check_batched
from mahals.models.steering.operators import OperatorName
from mahals.phase import Lab
from mahals.phases.cross_arch.rows import Row
from mahals.records import Among, Count, InputError, seed_of
from mahals.schema import ArmRow, Label

SPLIT = "evaluation"
CONTROLS = "controls"
RANDOM_DOSE = 1.0  # of a target with random weights, in units of its states' mean length


@dataclass(frozen=True)
class Params:
    """Whose vectors travel, by which maps, and how they are controlled."""

    source: Annotated[str, Among("models", ("all",))]
    maps: tuple[MapKind, ...]
    method: MethodName
    layers: Literal["auto"] | tuple[float, ...]  # steered blocks of the target
    layer_match: LayerMatch  # which source block meets a steered block
    operator: OperatorName
    controls: tuple[Control, ...]
    shuffles: Count  # draws of each control that is drawn: shuffled maps, moved random vectors
    suite: Suite


@dataclass(frozen=True)
class Task:
    """One source into one target; `controls` are the target's own vector and the random ones."""

    models: tuple[str, ...]  # target, then source
    source: str
    role: Literal["base", "random"]  # of the target: `random` is a control of its own


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """The controls once, then every source but the target itself (its own vector is a control).

    With the control random_target all that once more, into the target with random weights.
    """
    check_plan(_transfer_plan(params))
    sources = lab.models if params.source == "all" else (params.source,)
    others = [s for s in sources if s != lab.unit]
    roles: list[Literal["base", "random"]] = ["base"]
    if "random_target" in params.controls and others:
        roles.append("random")
    return [
        Task((lab.unit,) if s == CONTROLS else (lab.unit, s), s, role)
        for role in roles
        for s in (CONTROLS, *others)
    ]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """The rows of one task: all arms at one mean KL on neutral text.

    A target with random weights has no language to hold still: there the dose is one length for
    all arms, that of its mean state. Among the controls is the target's own vector at lambda 0.
    Raises RuntimeError where that moves something or another arm nothing, or where a text's state
    depends on its batch.
    """
    at = bench(lab, task.models[0], task.role, params.suite, SPLIT)
    own = native(lab, at.loaded.key, params.method)
    make = _controls if task.source == CONTROLS else _transferred
    moved = list(make(task, _shared(task, at, own, params, lab), params, lab))
    reached = _reached([m.direction for m in moved], task, at, lab)
    native_arm = [m.direction for m in moved if m.direction.label.arm == "steered"]
    zero = at_lambda(native_arm, 0.0) if task.source == CONTROLS else []
    dosed = [NOT_STEERED, *reached.dosed, *zero]
    found = cached_scores(lab.cache, at, [d.arm for d in dosed], neutral=True)
    check_acted(dosed[1:], [m.is_unmoved(found[0]) for m in found[1:]])
    check_batched(at.loaded, at.encoded, dosed[-1 - len(zero)].arm, params.suite.pool)
    context = row_context(lab, at, found[0])
    name = task.source if task.role == "base" else f"{task.source}.random_target"
    evidence = keep_evidence(lab, name, at, found)
    known = {m.direction.label: m for m in moved}
    for i, (d, m) in enumerate(zip(dosed, found, strict=True)):
        if i == 0 and task.source != CONTROLS:
            continue  # the unsteered model has its row among the controls
        how = known[replace(d.label, dose_kind=None, dose=None)] if i else None
        row = replace(
            to_row(d.label, d.strength, at, m, context), evidence=evidence, evidence_row=i
        )
        like = None
        if how is not None and task.role == "base":
            like = cosine_to(own.values, how.direction)
        yield replace(_row(row, task, how), cosine_native=like, missed=reached.missed)


def _reached(arms: Sequence[Direction], task: Task, at: Bench, lab: Lab) -> Reached:
    """The arms at their dose. Raises InputError where a source leaves nothing to measure."""
    if task.role == "random":
        return Reached(tuple(at_lambda(arms, RANDOM_DOSE)), ())
    reached = cached_doses(lab.cache, at, arms, at.suite.dose_kl)
    if not reached.dosed and arms:
        raise InputError(
            "suite.dose_kl",
            expected=f"a dose that one of the arms from {task.source} can have",
            got=reached.missed[0],
            cure="lower suite.dose_kl, or leave the source out",
        )
    return reached


def _row(row: ArmRow, task: Task, how: TransferredDirection | None) -> Row:
    fitted = None if how is None else how.map
    met = None if how is None else how.pairing
    return Row(
        **vars(row),
        target_role=task.role,
        shuffle=row.draw if row.arm == "shuffled" else None,
        r2_held_out=None if fitted is None else fitted.r2_held_out,
        r2_linear=None if fitted is None else fitted.r2_linear,
        map_rows=None if fitted is None else fitted.rows,
        map_fitted=None if fitted is None else fitted.fitted,
        cka=None if met is None else met.cka,
        prompt_cka=None if met is None else met.prompt_cka,
        cosine_native=None,
        missed=(),
    )


def _transfer_plan(params: Params) -> TransferPlan:
    return TransferPlan(params.maps, params.layer_match, params.controls, params.shuffles)


@dataclass(frozen=True)
class _TransferContext:
    """What the arms of a target share."""

    own: Native
    label: Label  # of the target's own vector; a transferred one has another source and a map
    norms: Mapping[int, float]  # steered block -> how long a vector is there


def _shared(task: Task, at: Bench, own: Native, params: Params, lab: Lab) -> _TransferContext:
    key = at.loaded.key
    blocks = steered_blocks(params.layers, at.loaded.layers, lab.weights)
    if task.role == "base":
        norms = {b: float(own.values[b].double().norm()) for b in blocks}
    else:
        norms = state_lengths(at.loaded, blocks, read_pool(lab, key, params.method), lab)
    label = own_label(own, params.method, params.operator, blocks)
    return _TransferContext(own, label, norms)


def _controls(
    task: Task, shared: _TransferContext, params: Params, lab: Lab
) -> Iterator[TransferredDirection]:
    """The target's own vector, its flip, and the random directions; with random weights the last.

    The random directions are as long as `shared.norms` says.
    """
    seed = seed_of("random directions", task.models[0], lab.seed)
    vectors = placed(shared.own.values, shared.label.layers, "raw")
    scaled = {b: v * (shared.norms[b] / float(v.double().norm())) for b, v in vectors.items()}
    for found in directions(shared.label, scaled, params.suite.random_directions, seed):
        if task.role == "base" or found.label.arm == "random":
            yield TransferredDirection(found, None, None)


def _transferred(
    task: Task, shared: _TransferContext, params: Params, lab: Lab
) -> Iterator[TransferredDirection]:
    """The source's vector by every map, then the controls of the transfer."""
    theirs = native(lab, task.source, params.method)
    texts = TextReading(read_pool(lab, task.source, params.method), params.layer_match)
    label = replace(shared.label, source=task.source, vector=theirs.mark, kept=theirs.kept)
    transfer = VectorTransfer(task.source, theirs.values, label, shared.norms, texts)
    yield from transfer_directions(
        transfer, _transfer_plan(params), (task.models[0], task.role), lab
    )
