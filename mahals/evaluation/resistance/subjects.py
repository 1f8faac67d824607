"""Resistance subjects: which checkpoint is steered, and along which directions?"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from mahals.data.lessons import lessons
from mahals.evaluation.resistance.setting import OwnTexts
from mahals.maths.metrics.resistance import Threshold
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.card import AdapterCard, adapter_card
from mahals.models.finetuning.config import Lora, Run, steps_of
from mahals.models.finetuning.lora import merged
from mahals.models.finetuning.self_correction import CorrectionTuning, lesson_example
from mahals.models.finetuning.trainer import train_answers
from mahals.models.saes.autoencoder import Sae
from mahals.models.saes.files import read_sae
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.known_rows import steered_rows
from mahals.phase import Lab
from mahals.records import AtLeast, InputError, from_plain

ALIGNED = "aligned"
DIRECTIONS = "directions.safetensors"


@dataclass(frozen=True, eq=False)
class BoostDirection:
    """A direction as long as the model's states are on average: a boost of 1 adds that much."""

    name: str
    source: str  # contrast | latent | random
    concept: str
    vector: Tensor  # (d,)


@dataclass(frozen=True)
class SubjectChoice:
    """Who is steered, along what."""

    subjects: Annotated[tuple[str, ...], AtLeast(1)]  # aligned, or checkpoints of esr_finetune
    sources: Annotated[tuple[str, ...], AtLeast(1)]  # of directions: contrast | latent | random


@dataclass(frozen=True)
class ModelTask:
    """All that is measured of one model."""

    models: tuple[str, ...]


@dataclass(frozen=True)
class SubjectTask(ModelTask):
    """All trials of one subject."""

    subject: str


def plan_model(params: object, lab: Lab) -> list[ModelTask]:
    """One task."""
    return [ModelTask((lab.unit,))]


def plan_subjects(params: SubjectChoice, lab: Lab) -> list[SubjectTask]:
    """One task for each subject."""
    return [SubjectTask((lab.unit,), subject) for subject in params.subjects]


@dataclass(frozen=True, eq=False)
class Derailment:
    """A direction and the boost at which it derails a subject."""

    direction: BoostDirection
    threshold: Threshold


def aligned(lab: Lab, key: str) -> Loaded:
    """The aligned checkpoint, or the one that the model has."""
    single = lab.single(key)
    return lab.model(key, "aligned" if single is None else single.role)


def subject(lab: Lab, key: str, name: str) -> Loaded:
    """`aligned`, or a checkpoint that esr_finetune made of it. Raises InputError for another."""
    if name == ALIGNED:
        return aligned(lab, key)
    return merged(aligned(lab, key), lab.kept("esr_finetune").path(f"{key}/adapter-{name}"))


def directions(lab: Lab, key: str, sources: Sequence[str]) -> list[BoostDirection]:
    """The directions of esr_saes of these sources, in its order. Raises InputError for none."""
    values = lab.kept("esr_saes").tensors(f"{key}/{DIRECTIONS}")
    rows = [r for r in lab.rows("esr_saes", key) if r.what == "direction" and r.source in sources]
    if not rows:
        expected, cure = f"one of {', '.join(sources)}", "name a source that esr_saes makes"
        raise InputError(f"directions of {key}", expected=expected, got="none", cure=cure)
    return [BoostDirection(r.name, r.source, r.concept, values[r.name]) for r in rows]


def model_sae(lab: Lab, key: str, block: int) -> Sae:
    """The sparse autoencoder of a block, which esr_saes made or took from a release."""
    return read_sae(lab.kept("esr_saes").path(f"{key}/sae-{block}"), None)


def derailments(lab: Lab, key: str, name: str, sources: Sequence[str]) -> list[Derailment]:
    """The directions of these sources with a subject's own thresholds, usable or not."""
    along = {d.name: d for d in directions(lab, key, sources)}
    found = thresholds_of(lab, key, name)
    return [Derailment(along[t.direction], t) for t in found if t.direction in along]


def thresholds_of(lab: Lab, key: str, name: str) -> Sequence[Threshold]:
    """All thresholds of a subject."""
    if name == ALIGNED:
        return lab.rows("esr_threshold", key)
    file = lab.kept("esr_finetune").path(f"{key}/thresholds-{name}.json")
    return from_plain(tuple[Threshold, ...], json.loads(file.read_text("utf-8")), file.name)


@dataclass(frozen=True)
class Teaching:
    """How a checkpoint is taught: its name says it, where that is unmasked, sham or steered."""

    name: str
    share: float  # of self-corrections among the lessons
    tuning: CorrectionTuning
    steps: Mapping[str, tuple[Intervention, ...]]  # by concept: what `steered` is taught under


def pupil(lab: Lab, loaded: Loaded, texts: OwnTexts, how: Teaching) -> Loaded | None:
    """The model, taught; its adapter is kept. None where no lesson could be steered."""
    name, tuning = how.name, how.tuning
    taught = lessons(
        texts.setting.texts, texts.answers, tuning.lessons, how.share, sham=name == "sham"
    )
    steered = [how.steps.get(one.concept or "", ()) if name == "steered" else () for one in taught]
    if name == "steered" and not any(steered):
        return None
    examples = [lesson_example(loaded, one, masked=name != "unmasked") for one in taught]
    last = steps_of(tuning.epochs, len(examples), tuning.rows)
    config = tuning.config(last, tuning.rate, Lora(tuning.rank, tuning.alpha, 0.0, "attention"))
    with steered_rows(loaded, [e.ids for e in examples], [Arm(name, own) for own in steered]):
        run = Run(lab.scratch(name), lab.seed, (), max(1, last // 10), name, lab.report)
        trained = train_answers(loaded, examples, config, run)
    about = f"Self-corrections: {how.share:.0%} of {len(taught)} lessons."
    base = f"{loaded.key}/{loaded.role} ({loaded.weights})"
    facts = {"recipe": str(config), "last loss": f"{trained.losses[-1]:.3f} nats per token"}
    card = AdapterCard(f"{loaded.key}, {name}", about, base, loaded.revision, False, facts)
    with lab.keep_folder(f"adapter-{name}") as kept:
        shutil.copytree(trained.checkpoints[last], kept, dirs_exist_ok=True)
        (kept / "README.md").write_text(adapter_card(card), encoding="utf-8")
    return merged(loaded, trained.checkpoints[last])


def concept_steps(
    along: Sequence[BoostDirection], found: Sequence[Threshold], block: int
) -> dict[str, tuple[Intervention, ...]]:
    """How a model is steered towards a concept: along its first direction of a usable threshold."""
    vectors = {d.name: d.vector for d in along}
    return {
        t.concept: (Intervention(block, vectors[t.direction], t.boost, "add"),)
        for t in reversed(found)
        if t.usable and t.direction in vectors
    }
