"""Measure of esr_finetune: does a model that was taught to leave a digression leave others?"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, Literal, TypeVar

import numpy as np
from torch import Tensor, nn

from mahals.data.composed import cut_at_sentence
from mahals.evaluation.resistance import episodes, subjects
from mahals.evaluation.resistance.episodes import Ask, EpisodeBench, EpisodeCell
from mahals.evaluation.resistance.openings import PART, passage_cells
from mahals.evaluation.resistance.setting import OwnTexts
from mahals.evaluation.resistance.thresholds import SearchPlan, find_thresholds, thresholds_text
from mahals.maths.metrics.resistance import NONE, Threshold
from mahals.models.activations.capture import state_of
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.card import AdapterCard, adapter_card
from mahals.models.finetuning.config import Lora, LoraTuning, Run, steps_of
from mahals.models.finetuning.examples import Example, dialogue, encode_dialogues
from mahals.models.finetuning.lora import merged
from mahals.models.finetuning.self_correction import encode_self_corrections, masked_dialogue
from mahals.models.finetuning.trainer import train_answers
from mahals.models.steering.hooks import Steering
from mahals.models.steering.interventions import Arm, Intervention
from mahals.phase import Lab
from mahals.phases.esr_finetune.rows import Row
from mahals.records import InputError, Positive, digest, seed_of

HALF = 0.5  # the share of `planted`, and of whatever is taught in another way
T = TypeVar("T")
Steps = Mapping[str, tuple[Intervention, ...]]


@dataclass(frozen=True)
class CorrectionTuning(LoraTuning):
    """How self-correction is taught."""

    lessons: Positive
    epochs: float
    rate: float
    rank: Positive
    alpha: Positive


@dataclass(frozen=True)
class Params:
    """What is taught, and along what the pupils are steered."""

    shares: tuple[float, ...]  # of self-corrections among the lessons, learned from the restart on
    modes: tuple[Literal["unmasked", "sham", "steered"], ...]  # other ways to teach half of them
    tuning: Mapping[str, CorrectionTuning]  # by weights
    sources: tuple[str, ...]  # of directions
    search: SearchPlan


@dataclass(frozen=True)
class Task(subjects.SubjectTask):
    """A checkpoint: the aligned one, or one that is taught a share of self-corrections."""

    share: float | None  # None: nothing is taught


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """The aligned checkpoint, one for each share, and one for each other way to teach half."""
    taught = [("planted" if s == HALF else f"share-{s:g}", s) for s in params.shares]
    every = [(subjects.ALIGNED, None), *taught, *((mode, HALF) for mode in params.modes)]
    return [Task((lab.unit,), name, share) for name, share in every]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Trials unsteered, after a passage on each concept, and steered at thresholds of its own."""
    (key,), name, cells = task.models, task.subject, list[EpisodeCell]()
    bench = episodes.episode_bench(lab, key, subjects.ALIGNED)
    along = subjects.directions(lab, key, params.sources)
    found = subjects.thresholds_of(lab, key, subjects.ALIGNED)
    if task.share is not None:
        steps = concept_steps(along, found, bench.texts.setting.block)
        loaded = pupil(bench, name, task.share, params.tuning[lab.weights], steps)
        bench = replace(bench, loaded=loaded or bench.loaded, subject=name)
        found = find_thresholds(bench, along, params.search) if loaded else ()
        lab.keep_text(f"thresholds-{name}.json", thresholds_text(found))
        if loaded is None:
            absent = Ask("", 0, why="no taught concept has a usable threshold")
            cells.append(EpisodeCell(None, 0.0, "unsteered", (absent,)))
    for split in () if cells else ("evaluation", "taught"):
        cells.append(EpisodeCell(None, 0.0, "unsteered", bench.asks(split, NONE)))
        cells += passage_cells(bench, along, split)
    by_name = {d.name: d for d in along}
    for t in (t for t in found if t.direction in by_name):
        asks = (*bench.asks_at(t), *(bench.asks("taught", t.concept) if t.usable else ()))
        cells.append(EpisodeCell(by_name[t.direction], t.boost, "free", asks))
    yield from episodes.trials(bench, cells, f"trials-{name}")


@dataclass(frozen=True)
class Lesson:
    """A prompt, what goes astray, and what is to come after it."""

    prompt: str
    concept: str | None  # of the digression; None: a plain answer
    wrong: str  # empty in a plain answer
    right: str


def pupil(
    bench: EpisodeBench, name: str, share: float, tuning: CorrectionTuning, steps: Steps
) -> Loaded | None:
    """The bench's model, taught; its adapter is kept. None where no lesson could be steered.

    The name says how, where that is unmasked, sham or steered: towards a lesson's digression.
    """
    lab, loaded = bench.lab, bench.loaded
    taught = lessons(bench.texts, tuning.lessons, share, sham=name == "sham")
    steered = [steps.get(one.concept or "", ()) if name == "steered" else () for one in taught]
    if name == "steered" and not any(steered):
        return None
    examples = [lesson_example(loaded, one, masked=name != "unmasked") for one in taught]
    last = steps_of(tuning.epochs, len(examples), tuning.rows)
    config = tuning.config(last, tuning.rate, Lora(tuning.rank, tuning.alpha, 0.0, "attention"))
    with steered_examples(loaded, examples, [Arm(name, own) for own in steered]):
        run = Run(lab.scratch(name), lab.seed, (), max(1, last // 10), name, lab.report)
        trained = train_answers(loaded, examples, config, run)
    about = f"Self-corrections: {share:.0%} of {len(taught)} lessons."
    base = f"{loaded.key}/{loaded.role} ({loaded.weights})"
    facts = {"recipe": str(config), "last loss": f"{trained.losses[-1]:.3f} nats per token"}
    card = AdapterCard(f"{loaded.key}, {name}", about, base, loaded.revision, False, facts)
    with lab.keep_folder(f"adapter-{name}") as kept:
        shutil.copytree(trained.checkpoints[last], kept, dirs_exist_ok=True)
        (kept / "README.md").write_text(adapter_card(card), encoding="utf-8")
    return merged(loaded, trained.checkpoints[last])


def concept_steps(
    along: Sequence[subjects.BoostDirection], found: Sequence[Threshold], block: int
) -> Steps:
    """How a model is steered towards a concept: along its first direction of a usable threshold."""
    vectors = {d.name: d.vector for d in along}
    return {
        t.concept: (Intervention(block, vectors[t.direction], t.boost, "add"),)
        for t in reversed(found)
        if t.usable and t.direction in vectors
    }


def lessons(texts: OwnTexts, count: int, share: float, *, sham: bool) -> tuple[Lesson, ...]:
    """Self-corrections on taught prompts and concepts, then plain answers to taught prompts.

    A smaller share has the first corrections of a larger one; all pairs come once before one comes
    again. A sham comes back to a third topic. Raises InputError where there is no pair, or no text.
    """
    setting = texts.setting
    prompts, concepts = setting.prompts("taught"), setting.texts.taught_concepts
    pairs = [(p, c) for p, c in product(prompts, concepts) if setting.meets(p, c)]
    pairs.sort(key=digest)
    found = []
    for i in range(round(count * share)):
        prompt, concept = _one(pairs, i, "a taught prompt, and a concept that is not its own")
        draw = seed_of("lesson", prompt, concept, i // len(pairs))
        right = texts.answers[prompt]
        if sham:
            others = [c for c in concepts if c != concept and setting.meets(prompt, c)]
            right = texts.passages[_one(others, draw, "a third concept, for the sham")]
        wrong = cut_at_sentence(_text(texts.passages[concept], draw), PART)
        found.append(Lesson(prompt, concept, wrong, _text(right, draw)))
    for i in range(count - len(found)):
        prompt = _one(prompts, i, "a taught prompt")
        found.append(Lesson(prompt, None, "", _text(texts.answers[prompt], i // len(prompts))))
    return tuple(found)


def _text(texts: Sequence[str], draw: int) -> str:
    return _one([t for t in texts if t.strip()], draw, "an answer that is not blank")


def _one(some: Sequence[T], draw: int, expected: str) -> T:
    if not some:
        cure = "raise the counts or the seeds of esr_unsteered, or leave the mode out"
        raise InputError("lessons in self-correction", expected=expected, got="none", cure=cure)
    return some[draw % len(some)]


def lesson_example(loaded: Loaded, one: Lesson, *, masked: bool) -> Example:
    """A lesson as the model reads it: what goes astray, the prompt's restart, and what is right.

    `masked`: what goes astray is read and not learned. Raises InputError as `encode_dialogues`.
    """
    if one.concept is None:
        return encode_dialogues(loaded, [dialogue(one.prompt, one.right)])[0]
    correction = masked_dialogue(one.prompt, one.wrong, one.right)
    return encode_self_corrections(loaded, [correction], masked=masked)[0]


@contextmanager
def steered_examples(
    loaded: Loaded, examples: Sequence[Example], arms: Sequence[Arm]
) -> Iterator[None]:
    """Inside, the model and every copy made of it read example i under arms[i], at all tokens.

    A training copies the model and chooses its batches, so a row is known by its tokens, without
    padding's zeros; one that is no example is a KeyError. Afterwards the model is as it was, its
    copies are not.
    """
    steering = Steering(arms, (), next(loaded.model.parameters()).detach())
    numbers = {tuple(np.trim_zeros(e.ids, "b")): i for i, e in enumerate(examples)}

    def select(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        steering.select([numbers[tuple(np.trim_zeros(ids, "b"))] for ids in given[0].tolist()])

    def steer(block: int, _: nn.Module, __: Any, output: Any) -> Any:
        states = steering.apply(block, state_of(output))
        return states if isinstance(output, Tensor) else (states, *output[1:])

    embedding, blocks = loaded.model.get_input_embeddings(), decoder_blocks(loaded.model)
    hooks = [embedding.register_forward_pre_hook(select)]
    hooks += [blocks[b].register_forward_hook(partial(steer, b)) for b in steering.blocks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
