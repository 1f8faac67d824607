"""Measure of recovery: does a vector bring a fallen model back, whose, and how far a fall?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch

from mahals.evaluation.arms import (
    Direction,
    cosine_to,
    null_directions,
    own_and_flipped,
    own_label,
)
from mahals.evaluation.bench import Bench, bench
from mahals.evaluation.checks import check_acted
from mahals.evaluation.dose import NOT_STEERED, Dosed, within_reach
from mahals.evaluation.native_vectors import MethodName, Native, native, placed
from mahals.evaluation.references import check_aligned
from mahals.evaluation.row_writer import RowContext, keep_evidence, row_context, to_row
from mahals.evaluation.scores import ArmScores, measure_arms
from mahals.evaluation.suite import Layers, Suite, steered_blocks
from mahals.evaluation.transfer.best_source import (
    Crossing,
    Destination,
    Transferred,
    through_shuffled_maps,
    transferred,
)
from mahals.models.steering.batch_invariance import check_batched
from mahals.models.steering.operators import OperatorName
from mahals.phase import Lab
from mahals.phases.recovery.measure.fall_vectors import (
    FallReading,
    Texts,
    negated,
    read_fall_vectors,
)
from mahals.phases.recovery.measure.tuning import (
    DealignmentTuning,
    Tuned,
    check_tuning,
    tune,
    tuning_pairs,
)
from mahals.phases.recovery.rows import Row
from mahals.records import InputError, Positive, seed_of
from mahals.schema import UNSTEERED, Label

SPLIT = "evaluation"


@dataclass(frozen=True)
class Params:
    """Which model falls, how it is made to fall, and which vectors are to bring it back."""

    original: Literal["aligned", "base"]  # the checkpoint that is dealigned
    tuning: DealignmentTuning
    crossing: Crossing
    method: MethodName  # of the native and the transferred vector
    texts: dict[str, Texts]  # by weights: what the dealignment's own direction is read on
    tokens: Positive  # longer texts lose their beginning
    layers: Layers  # steered blocks
    operator: OperatorName
    recovered_at: float  # the share of the drop that must come back, beyond a random direction's
    suite: Suite


@dataclass(frozen=True)
class Task:
    """One model: its fall and all its arms. The target, then the models whose vectors travel."""

    models: tuple[str, ...]


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """One task. Raises InputError for steps, rates or a threshold that cannot be used."""
    check_tuning(params.tuning, lab.weights)
    if not 0 < params.recovered_at <= 1:
        raise InputError(
            "recovery.recovered_at",
            expected="a share above 0 and up to 1",
            got=str(params.recovered_at),
            cure="for example 0.5",
        )
    if params.original == "aligned":
        check_aligned(lab, [lab.unit], "recovery.original", "original: base")
    chosen = params.crossing.source
    others = [m for m in lab.models if m != lab.unit and chosen in ("best", m)]
    return [Task((lab.unit, *others))]


@dataclass(frozen=True)
class _RecoveryContext:
    """What all arms of a target share."""

    at: Bench  # of the original model
    own: Native
    label: Label  # of the target's own vector
    params: Params
    lab: Lab

    def of(self, tuned: Tuned) -> Bench:
        """The same texts, for a model that was fine-tuned."""
        return replace(self.at, loaded=tuned.loaded)


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Trains both sides, then measures the unsteered states and every arm after every fall.

    Raises RuntimeError where an arm does nothing, or a text's state depends on its batch.
    """
    key = task.models[0]
    at = bench(lab, key, params.original, params.suite, SPLIT)
    own = native(lab, key, params.method, params.suite.single_method)
    blocks = steered_blocks(params.layers, at.loaded.layers, lab.weights)
    label = own_label(own, params.operator, blocks)
    shared = _RecoveryContext(at, own, label, params, lab)
    scratch = lab.scratch(task)
    worse = tune(at.loaded, "rejected", params.tuning, scratch, lab)
    control = tune(at.loaded, "chosen", params.tuning, scratch, lab)
    base = measure_arms(at, [NOT_STEERED.arm], neutral=True)[0]
    yield from _references(shared, base, control)
    crossing = _crossing(shared, worse[-1])
    for i, tuned in enumerate(worse):
        lab.report("measuring arms", i, len(worse))
        yield from _fallen(shared, base, tuned, crossing)
    lab.report("measuring arms", len(worse), len(worse))


@dataclass(frozen=True)
class _Crossing:
    """The transferred vector, and the null arms that stand beside it."""

    other: Transferred
    nulls: tuple[Direction, ...]  # its source's vector through maps fitted on shuffled rows

    @property
    def arms(self) -> list[Direction]:
        """All that crossed."""
        return [] if self.other.direction is None else [self.other.direction, *self.nulls]


def _crossing(shared: _RecoveryContext, worst: Tuned) -> _Crossing:
    """Whose vector travels, chosen for the model that fell farthest."""
    params, lab = shared.params, shared.lab
    to = Destination(shared.of(worst), shared.label, shared.own, params.crossing)
    other = transferred(to, lab, params.original)
    if other.direction is None:
        return _Crossing(other, ())
    source = str(other.direction.label.source)
    return _Crossing(other, tuple(through_shuffled_maps(source, to, params.suite.nulls, lab)))


def _references(
    shared: _RecoveryContext, base: ArmScores, control: Sequence[Tuned]
) -> Iterator[Row]:
    """The original and the controls, not steered, all priced against the original."""
    benches = [shared.at, *(shared.of(c) for c in control)]
    found = [base]
    found += [measure_arms(b, [NOT_STEERED.arm], neutral=True)[0] for b in benches[1:]]
    found = [replace(m, shift=None) for m in found]  # a model has no KL from itself
    kept = keep_evidence(shared.lab, "references", shared.at, [(UNSTEERED, m) for m in found])
    context = row_context(shared.lab, shared.at, base)
    for i, (m, tuned) in enumerate(zip(found, [None, *control], strict=True)):
        row = _row(shared, NOT_STEERED, m, context, tuned)
        yield replace(row, **kept.at(i))


def _fallen(
    shared: _RecoveryContext, base: ArmScores, tuned: Tuned, crossing: _Crossing
) -> Iterator[Row]:
    """The dealigned model after some steps: not steered, and every arm at the headline dose."""
    at, lab, params = shared.of(tuned), shared.lab, shared.params
    other = crossing.other
    arms = [*_own_arms(shared), *crossing.arms, _reversed(shared, tuned)]
    reached = within_reach(at, arms, params.suite.dose_kl)
    missed = (*reached.missed, *([other.reason] if other.reason else []))
    dosed = [NOT_STEERED, *reached.dosed]
    found = measure_arms(at, [d.arm for d in dosed], neutral=True)
    check_acted(dosed[1:], [m.is_unmoved(found[0]) for m in found[1:]])
    check_batched(at.loaded, at.encoded, dosed[-1].arm, at.readout)
    measured = [(d.label, m) for d, m in zip(dosed, found, strict=True)]
    kept = keep_evidence(lab, f"rejected.step-{tuned.steps:05d}", at, measured)
    known = {a.label: a for a in arms}
    for i, (d, m) in enumerate(zip(dosed, found, strict=True)):
        context = row_context(lab, at, found[0] if i else base)
        row = _row(shared, d, m if i else replace(m, shift=None), context, tuned)
        direction = known.get(replace(d.label, dose_kind=None, dose=None))
        crossed = direction is not None and direction is other.direction
        yield replace(
            row,
            **kept.at(i),
            cosine_native=None if direction is None else cosine_to(shared.own.values, direction),
            selection_gap=other.selection_gap if crossed else None,
            missed=missed,
        )


def _own_arms(shared: _RecoveryContext) -> list[Direction]:
    """The model's own vector, its flip, and both families of nulls."""
    label = shared.label
    seed = seed_of("random directions", shared.at.loaded.key, shared.lab.seed)
    vectors = placed(shared.own.values, label.layers, label.placement)
    nulls = null_directions(label, shared.own, vectors, shared.params.suite.nulls, seed)
    return [*own_and_flipped(label, vectors), *nulls]


def _reversed(shared: _RecoveryContext, tuned: Tuned) -> Direction:
    """The direction of the fall, kept, and subtracted."""
    lab, params = shared.lab, shared.params
    how = FallReading(params.texts[lab.weights], params.tokens)
    pairs = tuning_pairs(lab, params.tuning.pairs)
    found = read_fall_vectors(shared.at.loaded, tuned.loaded, pairs, how)
    tensors = {"values": torch.from_numpy(found.values).float()}
    kept = lab.keep(f"fall.step-{tuned.steps:05d}.safetensors", tensors)
    return negated(shared.label, found, f"recovery:{kept}")


def _row(
    shared: _RecoveryContext,
    dosed: Dosed,
    found: ArmScores,
    context: RowContext,
    tuned: Tuned | None,
) -> Row:
    label = dosed.label if dosed.strength is not None else UNSTEERED
    row = to_row(label, dosed.strength, shared.at, found, context)
    states: Mapping[str, Literal["control", "dealigned"]]
    states = {"chosen": "control", "rejected": "dealigned"}
    return Row(
        **vars(row),
        state="original" if tuned is None else states[tuned.side],
        steps=0 if tuned is None else tuned.steps,
        adapter=None if tuned is None else tuned.adapter,
        loss=None if tuned is None else tuned.loss,
        original=shared.params.original,
        revision=shared.at.loaded.revision,
        threshold=shared.params.recovered_at,
        cosine_native=None,
        missed=(),
    )
