"""Measure of layer_sweep: what does the own vector do at each block alone, beside null arms?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from mahals.evaluation.arms import Direction, null_directions, own_label
from mahals.evaluation.bench import Bench, bench
from mahals.evaluation.cache import cached_doses, cached_scores
from mahals.evaluation.checks import check_acted
from mahals.evaluation.dose import NOT_STEERED, Dosed, at_lambda
from mahals.evaluation.native_vectors import MethodName, native, placed
from mahals.evaluation.row_writer import keep_evidence, row_context, to_row
from mahals.evaluation.suite import Layers, Suite, depth_of, steered_blocks
from mahals.models.steering.batch_invariance import check_batched
from mahals.models.steering.operators import OperatorName
from mahals.phase import Lab
from mahals.phases.layer_sweep.rows import Row
from mahals.records import Several, seed_of

SPLIT = "selection"  # a block is chosen here, and tried on another split


@dataclass(frozen=True)
class Params:
    """Where one kind of vector is added, and beside how many null arms."""

    layers: Layers  # each block is steered alone
    method: MethodName
    operator: OperatorName
    nulls: Several  # of each family, at the headline dose
    suite: Suite


@dataclass(frozen=True)
class Task:
    """One block of one model; the first one of a model brings the unsteered model along."""

    models: tuple[str, ...]
    block: int
    first: bool


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """A task for each block, in order."""
    blocks = steered_blocks(params.layers, depth_of(lab.entry(lab.unit), lab.weights), lab.weights)
    return [Task((lab.unit,), block, block == blocks[0]) for block in blocks]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """The vector at each dose of the suite, and both families of nulls at the headline one.

    The unsteered model comes with the first block, and with one at which nothing reached its dose.
    Raises InputError where steering_vectors kept no such vector or too few shuffled ones, and
    RuntimeError where strength 0 moves something, or another strength nothing.
    """
    at = bench(lab, task.models[0], "base", params.suite, SPLIT)
    zero, dosed, missed = _dosed(task, params, at, lab)
    arms = [NOT_STEERED, *dosed]
    measured = cached_scores(lab.cache, at, [d.arm for d in (*arms, *zero)], neutral=True)
    base, found = measured[0], measured[: len(arms)]
    check_acted([*dosed, *zero], [m.is_unmoved(base) for m in measured[1:]])
    if dosed:
        check_batched(at.loaded, at.encoded, dosed[-1].arm, at.readout)
    context = row_context(lab, at, base)
    labelled = [(d.label, m) for d, m in zip(arms, found, strict=True)]
    kept = keep_evidence(lab, f"block-{task.block}", at, labelled)
    depth = (task.block + 1) / at.loaded.layers
    for i, (d, (label, m)) in enumerate(zip(arms, labelled, strict=True)):
        if i or task.first or not dosed:
            row = replace(to_row(label, d.strength, at, m, context), **kept.at(i))
            yield Row(**vars(row), depth=depth if i else None, missed=missed)


def _dosed(
    task: Task, params: Params, at: Bench, lab: Lab
) -> tuple[list[Dosed], list[Dosed], tuple[str, ...]]:
    """The vector at strength 0 (once a model), the arms that reach their dose, and why others do
    not."""
    own = native(lab, at.loaded.key, params.method, params.suite.single_method)
    label = own_label(own, params.operator, (task.block,))
    vectors = placed(own.values, label.layers, label.placement)
    vector = Direction(label, vectors, 1.0)
    seed = seed_of("random directions", at.loaded.key, lab.seed)
    nulls = null_directions(label, own, vectors, params.nulls, seed)
    dosed: list[Dosed] = []
    missed: list[str] = []
    for kl in at.suite.kls:
        some = [vector, *(nulls if kl == at.suite.dose_kl else [])]
        reached = cached_doses(lab.cache, at, some, kl)
        dosed += reached.dosed
        missed += reached.missed
    return at_lambda([vector], 0.0) if task.first else [], dosed, tuple(missed)
