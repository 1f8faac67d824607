"""Measure of em_ablation: does taking the direction out restore, does adding it misalign?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from mahals.data.texts import AXIOMS
from mahals.evaluation.arms import Direction, isotropic
from mahals.evaluation.bench import Bench, bench
from mahals.evaluation.checks import check_acted
from mahals.evaluation.dose import Dosed
from mahals.evaluation.misalignment.answers import Asking, code_tensors, judge_for, table_lines
from mahals.evaluation.misalignment.subjects import Position, TrainedSubjects, subject, trained
from mahals.evaluation.suite import Suite, steered_blocks
from mahals.maths.misalignment.detection import Method, two_halves
from mahals.maths.misalignment.outcomes import OUTCOMES
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.judges.judge import JudgeChoice
from mahals.models.steering.batch_invariance import check_batched, check_strength
from mahals.models.steering.interventions import Arm
from mahals.models.steering.orthogonalize import orthogonalized, unwritten
from mahals.phase import Lab
from mahals.phases.em_ablation.measure.arms import (
    Outcome,
    Plan,
    Planned,
    ablations,
    inductions,
    measure_outcomes,
)
from mahals.phases.em_ablation.rows import Row
from mahals.records import InputError, Positive, Several, seed_of
from mahals.schema import UNSTEERED, Label

Subject = Literal["original", "bad", "good"]
NONE = Planned("none", 0.0, Dosed(UNSTEERED, None, Arm("none", ())))
CLOSE = 1e-3  # of the largest logit: the two forms of one ablation


@dataclass(frozen=True)
class Params:
    """Which direction is taken out or put in, where, and how strongly."""

    position: Position
    method: Method
    layers: Literal["auto"] | tuple[float, ...]
    strengths: tuple[float, ...]  # of the ablation; 0 checks that nothing moves
    induction_kl: tuple[float, ...]  # nats per token on neutral text or chat, whichever is more
    nulls: Several  # directions of each null family
    max_new_tokens: Positive
    judge: JudgeChoice
    suite: Suite


@dataclass(frozen=True)
class Task:
    """`bad`: ablation; `good`: its cost on the control adapter; `original`: induction."""

    models: tuple[str, ...]
    subject: Subject


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """The misaligned model, the control adapter, the original."""
    return [Task((lab.unit,), s) for s in ("bad", "good", "original")]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """All arms of one subject on the unseen half of the prompts.

    Raises RuntimeError where strength 0 moves something or another arm nothing, or where a text's
    state depends on its batch.
    """
    key = task.models[0]
    found = trained(lab, key, ("original", "bad", "good"))
    base = lab.model(key, "base")
    loaded = subject(base, found, task.subject)
    at = replace(bench(lab, key, "base", params.suite, "evaluation"), loaded=loaded)
    own, nulls = _directions(task, params, loaded, lab)
    planned = _planned(task, at, own, nulls, params)
    asking = _asking(task, params, found, lab)
    arms = (NONE, *planned.arms)
    last = arms[-1].dosed.arm
    check_batched(loaded, at.encoded, last, at.readout)
    check_strength(loaded, at.encoded[0], last, at.readout)
    results = measure_outcomes(at, asking, [p.dosed.arm for p in arms])
    check_acted([p.dosed for p in arms[1:]], [r.is_unmoved(results[0]) for r in results[1:]])
    missed = list(planned.missed)
    if task.subject == "bad":
        whole, why = _by_weights(at, asking, own, nulls)
        missed += why
        arms, results = (*arms, *(p for p, _ in whole)), [*results, *(f for _, f in whole)]
    blocks = own.label.layers
    yield from _rows(
        AblationContext(task, loaded, asking, at, blocks, tuple(missed)), arms, results, lab
    )


def _directions(
    task: Task, params: Params, loaded: Loaded, lab: Lab
) -> tuple[Direction, list[Direction]]:
    """The unit vector of each block that is changed, as em_detection kept them; both null families.

    Isotropic directions, and those that em_detection made, as it made the direction, of prompts of
    which half had the two models exchanged.
    """
    rows = [r for r in lab.rows("em_detection", loaded.key) if r.position == params.position]
    rows = [r for r in rows if r.method == params.method]
    if not rows:
        raise InputError(
            "em_ablation",
            expected="a direction that em_detection has found",
            got=f"none at {params.position} by {params.method}",
            cure="add them to em_detection.positions and .methods",
        )
    kept = lab.kept("em_detection")
    values = kept.tensors(rows[0].directions)[params.method]
    drawn = kept.tensors(rows[0].shuffled)[params.method]
    _enough(len(drawn), params.nulls)
    blocks = steered_blocks(params.layers, loaded.layers, loaded.weights)
    operator = "add" if task.subject == "original" else "ablate"
    label = Label(arm="steered", method=params.method, operator=operator, layers=blocks)
    vectors = {b: values[b].float() for b in blocks}
    seed = seed_of("em ablation", loaded.key, lab.seed)
    shuffled = [
        Direction(
            replace(label, arm="shuffled_pairs", draw=k), {b: d[b].float() for b in blocks}, 1.0
        )
        for k, d in enumerate(drawn[: params.nulls])
    ]
    random = isotropic(label, vectors, params.nulls, seed)
    return Direction(label, vectors, 1.0), [*random, *shuffled]


def _enough(kept: int, asked: int) -> None:
    if kept < asked:
        raise InputError(
            "em_detection.shuffles",
            expected=f"{asked} or more: em_ablation.nulls asks for so many of each family",
            got=str(kept),
            cure="raise em_detection.shuffles, or lower em_ablation.nulls",
        )


def _planned(
    task: Task, at: Bench, own: Direction, nulls: Sequence[Direction], params: Params
) -> Plan:
    if task.subject == "original":
        return inductions(at, own, params.induction_kl, nulls)
    strengths = params.strengths if task.subject == "bad" else (1.0,)
    return ablations(at, own, strengths, nulls)


def _asking(task: Task, params: Params, found: TrainedSubjects, lab: Lab) -> Asking:
    """The questions that no direction was fitted on: the halves of em_detection's clusters."""
    rows = [r for r in lab.rows("em_finetune", task.models[0]) if r.adapter == "bad"]
    domain = rows[0].domain
    judge = judge_for(params.judge, lab, task, domain is not None)
    fitted = two_halves([q.cluster for q in found.questions])
    unseen = tuple(q for q, f in zip(found.questions, fitted, strict=True) if not f)
    return Asking(unseen, judge, domain if domain in AXIOMS else None, params.max_new_tokens)


def _by_weights(
    at: Bench, asking: Asking, own: Direction, nulls: Sequence[Direction]
) -> tuple[list[tuple[Planned, Outcome]], list[str]]:
    """The weight-orthogonalized form: nothing anywhere is written along the last block's vector.

    And the same with each null direction: of equal operation, as weights have no dose.
    """
    found = []
    for each in (own, *nulls):
        direction = each.vectors[max(each.vectors)]
        try:
            changed = orthogonalized(at.loaded, direction)
        except InputError as error:
            return [], [f"weights: {error}"]
        if each is own:
            _two_forms_agree(at, changed, direction)
        one = measure_outcomes(replace(at, loaded=changed), asking, [NONE.dosed.arm])[0]
        planned = Planned("weights", 1.0, Dosed(each.label, 1.0, NONE.dosed.arm))
        found.append((planned, replace(one, shift=None)))
    return found, []


def _two_forms_agree(at: Bench, changed: Loaded, direction: torch.Tensor) -> None:
    """Raises RuntimeError where weights and hooks give other logits, or change nothing."""
    model = at.loaded.model
    ids = torch.tensor([at.neutral[0].ids], device=at.loaded.device)
    with torch.inference_mode():
        plain, by_weights = model(ids).logits, changed.model(ids).logits
        with unwritten(at.loaded, direction):
            by_hooks = model(ids).logits
    apart = float((by_weights - by_hooks).abs().max() / by_hooks.abs().max())
    if apart > CLOSE or torch.equal(plain, by_weights):
        raise RuntimeError(f"the two forms of the ablation differ by {apart:.2g} of the logits")


@dataclass(frozen=True)
class AblationContext:
    """What all rows of a task share."""

    task: Task
    loaded: Loaded
    asking: Asking
    at: Bench
    blocks: tuple[int, ...]
    missed: tuple[str, ...]


def _rows(
    context: AblationContext, arms: Sequence[Planned], results: Sequence[Outcome], lab: Lab
) -> Iterator[Row]:
    name = context.task.subject
    answered = [f.answered for f in results]
    codes = lab.keep(f"arms-{name}.safetensors", code_tensors(context.asking, answered))
    lines = ""
    for p, f in zip(arms, results, strict=True):
        if p.draw in (None, 0):
            more = {"subject": name, "arm": p.arm, "family": p.family, "level": p.level}
            lines += table_lines(context.asking, f.answered, more)
    examples = lab.keep_text(f"examples-{name}.jsonl", lines)
    for i, (p, f) in enumerate(zip(arms, results, strict=True)):
        yield Row(
            model=context.loaded.key,
            weights=context.loaded.weights,
            subject=name,
            arm=p.arm,
            family=p.family,
            draw=p.draw,
            level=p.level,
            strength=p.dosed.strength,
            blocks=context.blocks,
            asked=len(f.answered.codes),
            **_counts(f),
            **_price(f, results[0], context),
            codes=codes,
            codes_row=i,
            answers=examples,
            missed=context.missed,
        )


def _counts(found: Outcome) -> dict[str, Any]:
    """How many answers of an arm were what."""
    answered = found.answered
    n = {o: int((answered.codes == c).sum()) for c, o in enumerate(OUTCOMES)}
    return {
        **{o: n[o] for o in ("misaligned", "good", "incoherent", "unscored")},
        "refused": sum(answered.refused),
        "degenerate": sum(answered.degenerate),
    }


def _price(found: Outcome, base: Outcome, context: AblationContext) -> dict[str, Any]:
    """What an arm costs against the same model without it, and where that stands."""
    shift, clusters = found.shift, context.asking.clusters
    price, unchanged = found.price(clusters), base.price(clusters)
    where = context.at.suite.ceiling.judged(price, unchanged)
    ratio = price.ratio_over(unchanged)
    return {
        "kl": None if shift is None else shift.largest,
        "kl_neutral": None if shift is None else shift.neutral,
        "kl_chat": None if shift is None else shift.chat,
        "perplexity_ratio": None if ratio is None else ratio.estimate,
        "safe_accuracy": price.safe_accuracy,
        "over_ceiling": where.over,
        "not_shown_safe": where.not_shown_safe,
    }
