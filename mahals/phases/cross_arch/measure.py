"""Measure of cross_arch: does another family's vector move this model, by how much of its own?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from mahals.evaluation.arms import (
    Direction,
    cosine_to,
    crossed_label,
    isotropic,
    null_directions,
    own_and_flipped,
    own_label,
)
from mahals.evaluation.bench import Bench, bench
from mahals.evaluation.cache import cached_doses, cached_scores
from mahals.evaluation.checks import check_acted, check_scope
from mahals.evaluation.dose import NOT_STEERED, Dosed, at_lambda
from mahals.evaluation.families import MeasuredArms, at_every_dose, measure_nulls
from mahals.evaluation.native_vectors import MethodName, Native, native, placed
from mahals.evaluation.references import references
from mahals.evaluation.row_writer import keep_evidence, row_context, to_row
from mahals.evaluation.selection import SelectionScore, on_selection
from mahals.evaluation.suite import Layers, Suite, steered_blocks
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
from mahals.models.steering.scope import Scope
from mahals.phase import Lab
from mahals.phases.cross_arch.rows import Row
from mahals.records import Among, Count, InputError, seed_of
from mahals.schema import ArmKind, ArmRow, Label

SPLIT = "evaluation"
CONTROLS = "controls"
EVERY_DOSE: tuple[ArmKind, ...] = ("steered", "flipped", "shuffled")  # the others at one
RANDOM_DOSE = 1.0  # of a target with random weights, in units of its states' mean length


@dataclass(frozen=True)
class Params:
    """Whose vectors travel, by which maps, and how they are controlled."""

    source: Annotated[str, Among("models", ("all",))]
    maps: tuple[MapKind, ...]
    method: MethodName
    layers: Layers  # steered blocks of the target
    layer_match: LayerMatch  # which source block meets a steered block
    operator: OperatorName
    scope: Scope  # at which tokens
    controls: tuple[Control, ...]
    draws: Count  # of each control that is drawn: all fitted maps shuffled, moved random vectors
    suite: Suite


@dataclass(frozen=True)
class Task:
    """One source into one target; `controls` are the target's own vector and the random ones."""

    models: tuple[str, ...]  # target, then source
    source: str
    role: Literal["base", "random"]  # of the target: `random` is a control of its own


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """The target's own arms, then every source; with random_target all that into that one too."""
    check_plan(_transfer_plan(params, ()))
    others = [s for s in _sources(params, lab) if s != lab.unit]
    roles: list[Literal["base", "random"]] = ["base"]
    if "random_target" in params.controls and others:
        roles.append("random")
    return [
        Task((lab.unit,) if s == CONTROLS else (lab.unit, s), s, role)
        for role in roles
        for s in (CONTROLS, *others)
    ]


def _sources(params: Params, lab: Lab) -> tuple[str, ...]:
    return lab.models if params.source == "all" else (params.source,)


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """The rows of one task: every arm at each dose of the suite, controls at the headline dose.

    A target with random weights has no language to hold still: there the dose is one length for
    all arms, that of its mean state. Raises RuntimeError where lambda 0 moves something or another
    arm nothing, or where a text's state depends on its batch.
    """
    at = bench(lab, task.models[0], task.role, params.suite, SPLIT)
    check_scope(at, params.scope)
    own = native(lab, at.loaded.key, params.method, params.suite.single_method)
    shared = _shared(task, at, own, params, lab)
    make = _own_arms if task.source == CONTROLS else _transferred
    moved = list(make(task, shared, params, lab))
    measured = _measured(task, at, [m.direction for m in moved], lab)
    if task.source == CONTROLS:
        yield from _without_vector(task, params, lab)
        if task.role == "base":
            nulls = _null_arms(shared, params, lab)
            measured = _joined(measured, measure_nulls(at, nulls, lab))
            moved += [TransferredDirection(d, None, None) for d in nulls]
    check_batched(at.loaded, at.encoded, measured.dosed[-1].arm, at.readout)
    yield from _rows(_Measured(task, at, own, moved, measured), lab)


def _measured(task: Task, at: Bench, arms: Sequence[Direction], lab: Lab) -> MeasuredArms:
    """The arms at their doses. Raises InputError where a source leaves nothing to measure."""
    steered = [d for d in arms if d.label.arm in EVERY_DOSE]
    dosed: list[Dosed] = []
    missed: tuple[str, ...] = ()
    if task.role == "random":
        dosed += at_lambda(arms, RANDOM_DOSE)
    else:
        at_all = at_every_dose(at, steered, lab)
        rest = [d for d in arms if d.label.arm not in EVERY_DOSE]
        at_one = cached_doses(lab.cache, at, rest, at.suite.dose_kl)
        dosed += [*at_all.dosed, *at_one.dosed]
        missed = (*at_all.missed, *at_one.missed)
    if not dosed and arms:
        raise InputError(
            "suite.dose_kl",
            expected=f"a dose that one of the arms from {task.source} can have",
            got=missed[0],
            cure="lower suite.dose_kl, or leave the source out",
        )
    if task.source == CONTROLS:
        dosed += at_lambda([d for d in arms if d.label.arm == "steered"], 0.0)
    found = cached_scores(lab.cache, at, [NOT_STEERED.arm, *(d.arm for d in dosed)], neutral=True)
    check_acted(dosed, [m.is_unmoved(found[0]) for m in found[1:]])
    return MeasuredArms(tuple(dosed), tuple(found[1:]), missed)


def _joined(one: MeasuredArms, other: MeasuredArms) -> MeasuredArms:
    return MeasuredArms(
        (*one.dosed, *other.dosed), (*one.found, *other.found), (*one.missed, *other.missed)
    )


def _without_vector(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """The unsteered target; of a trained one also the instructed and the aligned one."""
    key = task.models[0]
    if task.role == "base":
        among = references(lab, key, params.suite, SPLIT)
        at, base, measured, missed = among.at, among.base, among.measured, among.missed
    else:
        at = bench(lab, key, task.role, params.suite, SPLIT)
        base = cached_scores(lab.cache, at, [NOT_STEERED.arm], neutral=True)[0]
        measured, missed = [(NOT_STEERED.label, base)], ()
    context = row_context(lab, at, base)
    kept = keep_evidence(lab, _name(task, "references"), at, measured)
    for i, (label, m) in enumerate(measured):
        row = _row(to_row(label, None, at, m, context), task, None)
        yield replace(row, **kept.at(i), missed=missed)


@dataclass(frozen=True)
class _Measured:
    """All that a task found."""

    task: Task
    at: Bench
    own: Native
    moved: Sequence[TransferredDirection]
    arms: MeasuredArms


def _rows(of: _Measured, lab: Lab) -> Iterator[Row]:
    """A row for each measured arm, with what is known of how it came to the target."""
    task, at, arms = of.task, of.at, of.arms
    (base,) = cached_scores(lab.cache, at, [NOT_STEERED.arm], neutral=True)
    context = row_context(lab, at, base)
    pairs = list(zip(arms.dosed, arms.found, strict=True))
    kept = keep_evidence(lab, _name(task, task.source), at, [(d.label, m) for d, m in pairs])
    known = {m.direction.label: m for m in of.moved}
    chosen = _selected(of, lab)
    for i, (d, m) in enumerate(pairs):
        how = known[replace(d.label, dose_kind=None, dose=None)]
        row = replace(to_row(d.label, d.strength, at, m, context), **kept.at(i))
        if i in chosen:
            row = replace(row, **chosen[i].columns)
        like = cosine_to(of.own.values, how.direction) if task.role == "base" else None
        yield replace(_row(row, task, how), cosine_native=like, missed=arms.missed)


def _selected(of: _Measured, lab: Lab) -> Mapping[int, SelectionScore]:
    """The steered arms of a trained target on the selection split, by their place."""
    dosed = of.arms.dosed
    tried = [i for i, d in enumerate(dosed) if d.label.arm == "steered" and d.strength]
    if of.task.role == "random":
        return {}
    found = on_selection(lab, of.at.loaded.key, of.at.suite, [dosed[i] for i in tried])
    return dict(zip(tried, found, strict=True))


def _name(task: Task, name: str) -> str:
    return name if task.role == "base" else f"{name}.random_target"


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


def _transfer_plan(params: Params, null_draws: Sequence[int]) -> TransferPlan:
    return TransferPlan(
        params.maps, params.layer_match, params.controls, params.draws, tuple(null_draws)
    )


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
        norms = state_lengths(at.loaded, blocks, read_pool(lab, key, own.method), lab)
    label = replace(own_label(own, params.operator, blocks), scope=params.scope)
    return _TransferContext(own, label, norms)


def _own_arms(
    task: Task, shared: _TransferContext, params: Params, lab: Lab
) -> Iterator[TransferredDirection]:
    """The target's own vector and its flip; with random weights isotropic directions instead.

    These are as long as `shared.norms` says.
    """
    vectors = placed(shared.own.values, shared.label.layers, "raw")
    if task.role == "base":
        found = own_and_flipped(shared.label, vectors)
    else:
        scaled = {b: v * (shared.norms[b] / float(v.double().norm())) for b, v in vectors.items()}
        seed = seed_of("random directions", task.models[0], lab.seed)
        found = isotropic(shared.label, scaled, params.suite.nulls, seed)
    yield from (TransferredDirection(each, None, None) for each in found)


def _null_arms(shared: _TransferContext, params: Params, lab: Lab) -> list[Direction]:
    """Both families of nulls of the target's own vector."""
    vectors = placed(shared.own.values, shared.label.layers, "raw")
    seed = seed_of("random directions", shared.own.model, lab.seed)
    return null_directions(shared.label, shared.own, vectors, params.suite.nulls, seed)


def _transferred(
    task: Task, shared: _TransferContext, params: Params, lab: Lab
) -> Iterator[TransferredDirection]:
    """The source's vector by every map, by its share of the shuffled maps, then the controls."""
    theirs = native(lab, task.source, params.method, params.suite.single_method)
    texts = TextReading(read_pool(lab, task.source, theirs.method), params.layer_match)
    label = crossed_label(shared.label, theirs)
    transfer = VectorTransfer(task.source, theirs.values, label, shared.norms, texts)
    plan = _transfer_plan(params, _null_draws(task, params, lab) if task.role == "base" else ())
    yield from transfer_directions(transfer, plan, (task.models[0], task.role), lab)


def _null_draws(task: Task, params: Params, lab: Lab) -> range:
    """Which of the target's shuffled maps come from this source: they take turns.

    A target has `suite.nulls` of them in all, which its crossings share.
    """
    sources = [s for s in _sources(params, lab) if s != task.models[0]]
    return range(sources.index(task.source), params.suite.nulls, len(sources))
