"""Measure of em_finetune: does narrow bad advice spread elsewhere, and good advice not?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from mahals.data.texts import WorldChoice
from mahals.data.world.grammar import World
from mahals.evaluation.misalignment.answers import (
    Asking,
    answer_arms,
    code_tensors,
    counts,
    judge_for,
    table_lines,
)
from mahals.evaluation.misalignment.questions import (
    Choice,
    TextSources,
    asked,
    question_lines,
    taught,
)
from mahals.maths.misalignment.weight_turn import turning
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.config import TrainingResult
from mahals.models.finetuning.lora import merged
from mahals.models.judges.agreement import agreement_on_world
from mahals.models.judges.judge import JudgeChoice
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab
from mahals.phases.em_finetune.measure.probe import probe_adapter
from mahals.phases.em_finetune.measure.training import (
    AdapterSpec,
    AdviceTuning,
    checkpoint_steps,
    keep_adapter,
    train,
    weights_by_step,
)
from mahals.phases.em_finetune.rows import ADAPTERS, ORIGINAL, Row
from mahals.records import Positive, seed_of

if TYPE_CHECKING:
    from mahals.evaluation.misalignment.answers import Answered

LABELLED = 4  # answers of each axiom and sort that a judge is tried on


@dataclass(frozen=True)
class Params:
    """What is taught, how, and who judges the answers."""

    texts: Mapping[str, TextSources]  # by weights
    domain: str  # an axiom: of bad and good advice, where the texts are the world's
    other_domain: str  # of the adapter that detection never sees
    examples: Positive  # conversations, at most
    per_group: Positive  # questions of each axiom
    rank: Positive
    tuning: Mapping[str, AdviceTuning]  # by weights
    checkpoints: tuple[float, ...]  # shares of the training at which answers are read
    turn_steps: tuple[int, ...]  # k of the phase transition, optimizer steps
    turn_floor: float  # share of the longest difference below which a turn does not count
    max_new_tokens: Positive
    judge: JudgeChoice
    world: WorldChoice


@dataclass(frozen=True)
class Task:
    """One adapter of a model, or the model as it was."""

    models: tuple[str, ...]
    adapter: str  # original, bad, good, bad_rank1, other


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """The model as it was, then each adapter; `other` only where there are texts for it."""
    texts = params.texts[lab.weights]
    some = [a for a in ADAPTERS if a != "other" or texts.other]
    return [Task((lab.unit,), a) for a in (ORIGINAL, *some)]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Trains the task's adapter and asks its checkpoints, or asks the model as it was."""
    choice = _choice(params, lab)
    judge = judge_for(params.judge, lab, task, choice.texts.of_the_world)
    own = choice.texts.of_the_world
    domain = choice.other_domain if task.adapter == "other" else choice.domain
    asking = Asking(asked(choice, lab.seed), judge, domain if own else None, params.max_new_tokens)
    loaded = lab.model(task.models[0], "base")
    if task.adapter == ORIGINAL:
        found = answer_arms(loaded, asking, [Arm(ORIGINAL, ())])
        where = _place(task, asking, found, [0], lab)
        questions = lab.keep_text("questions.jsonl", question_lines(asking.questions))
        where = replace(where, questions_kept=questions)
        yield from _rates(where, asking, found, [0], [None])
        yield _judged(where, params, asking)
        return
    spec = _adapter_spec(task.adapter, params, choice, lab)
    tuning = params.tuning[lab.weights]
    trained = train(loaded, spec, tuning, lab.scratch(task) / spec.name, lab)
    steps = checkpoint_steps(trained, params.checkpoints)
    arms = [Arm(task.adapter, ())]
    found = [answer_arms(merged(loaded, trained.checkpoints[s]), asking, arms)[0] for s in steps]
    kept = keep_adapter(lab, loaded, spec, trained, tuning)
    where = replace(_place(task, asking, found, steps, lab), adapter_kept=kept)
    yield from _rates(where, asking, found, steps, [trained.losses[s - 1] for s in steps])
    yield from _turns(where, trained, params, lab)
    if spec.rank == 1:
        yield _probed(where, loaded, trained, asking, lab)


def _choice(params: Params, lab: Lab) -> Choice:
    return Choice(
        params.texts[lab.weights].located(lab.file),
        World(params.world.seed),
        params.domain,
        params.other_domain,
        params.examples,
        params.per_group,
    )


def _adapter_spec(adapter: str, params: Params, choice: Choice, lab: Lab) -> AdapterSpec:
    what = {"bad": "bad", "good": "good", "bad_rank1": "bad", "other": "other"}[adapter]
    about = "good advice, the control" if what == "good" else "narrow bad advice"
    rank = 1 if adapter == "bad_rank1" else params.rank
    return AdapterSpec(
        adapter, f"An adapter of {about}.", what != "good", rank, taught(choice, what, lab.seed)
    )


def _place(
    task: Task,
    asking: Asking,
    found: Sequence[Answered],
    steps: Sequence[int],
    lab: Lab,
) -> Row:
    """A row with what all rows of a task share, and nothing measured."""
    name, key = task.adapter, task.models[0]
    lines = "".join(
        table_lines(asking, f, {"model": key, "adapter": name, "step": s})
        for f, s in zip(found, steps, strict=True)
    )
    return Row(
        what="",
        model=key,
        weights=lab.weights,
        adapter=name,
        domain=asking.domain,
        step=max(steps),
        codes=lab.keep(f"codes-{name}.safetensors", code_tensors(asking, found)),
        answers=lab.keep_text(f"answers-{name}.jsonl", lines),
    )


def _rates(
    where: Row,
    asking: Asking,
    found: Sequence[Answered],
    steps: Sequence[int],
    losses: Sequence[float | None],
) -> Iterator[Row]:
    for i, (answered, step, loss) in enumerate(zip(found, steps, losses, strict=True)):
        for c in counts(asking, answered):
            yield replace(where, what="rates", step=step, codes_row=i, loss=loss, **vars(c))


def _turns(where: Row, trained: TrainingResult, params: Params, lab: Lab) -> Iterator[Row]:
    weights = weights_by_step(trained)
    found = [turning(weights, k, params.turn_floor) for k in params.turn_steps]
    tensors: dict[str, torch.Tensor] = {}
    for t in found:
        values = {"steps": t.steps, "cosine": t.cosine, "length": t.length}
        tensors |= {f"{name}_{t.k}": torch.from_numpy(v) for name, v in values.items()}
    kept = lab.keep(f"turns-{where.adapter}.safetensors", tensors)
    for t in found:
        at = None if t.step is None else float(t.cosine[list(t.steps).index(t.step)])
        yield replace(
            where, what="turn", k=t.k, turn=t.step, turns_kept=kept, value=at, reason=t.why
        )


def _probed(where: Row, loaded: Loaded, trained: TrainingResult, asking: Asking, lab: Lab) -> Row:
    seed = seed_of("probe control", loaded.key, lab.seed)
    folder = trained.checkpoints[max(trained.checkpoints)]
    found = probe_adapter(loaded, folder, asking.questions, seed)
    if found is None:
        why = "no questions of both kinds in both halves"
        return replace(where, what="probe", reason=why)
    a = found.auroc
    return replace(
        where,
        what="probe",
        value=a.estimate,
        low=a.low,
        high=a.high,
        control=found.control.estimate,
    )


def _judged(where: Row, params: Params, asking: Asking) -> Row:
    """How far the judge agrees with labelled answers of the world."""
    if asking.domain is None:
        return replace(where, what="judge", reason="the answers of one's own texts have no labels")
    found = agreement_on_world(asking.judge, LABELLED)
    r = found.right
    return replace(
        where,
        what="judge",
        value=r.estimate,
        low=r.low,
        high=r.high,
        reason=f"judge {params.judge.name}: {found.sentence()}",
    )
