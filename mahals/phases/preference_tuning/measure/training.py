"""Training of preference_tuning: how are answers, then preferences taught, and what is kept?"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from mahals.data.texts import Pair
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.card import AdapterCard, adapter_card
from mahals.models.finetuning.config import Lora, LoraTuning, Run, TrainingConfig, TrainingResult
from mahals.models.finetuning.examples import dialogue, encode_dialogues
from mahals.models.finetuning.interpolation import interpolated
from mahals.models.finetuning.lora import merged
from mahals.models.finetuning.trainer import Dpo, train_answers, train_preferences
from mahals.phase import Lab, Role
from mahals.phases.preference_tuning.measure.preferences import Preferred, encoded
from mahals.phases.preference_tuning.rows import Checkpoint
from mahals.records import AtLeast, Positive, seed_of


@dataclass(frozen=True)
class AnswerTuning(LoraTuning):
    """How chosen answers are taught to a checkpoint that never saw a chat."""

    when: Literal["no_template", "always", "never"]  # no_template: where it came without one
    answers: Literal["all", "helpful"]  # helpful: none that declines or says it does not understand
    steps: Positive
    rate: float


@dataclass(frozen=True)
class PreferenceTuning(LoraTuning):
    """How preferences are taught."""

    steps: Positive
    rate: dict[str, float]  # by weights
    beta: float  # how far the policy may go from the reference: lower is farther
    chosen_weight: float  # times the mean token loss of the chosen answers, added
    shares: Annotated[tuple[float, ...], AtLeast(1)]
    """Of the trained change, from the most: the first within the ceiling of perplexity is kept."""


@dataclass(frozen=True)
class Trained:
    """A checkpoint that was trained here."""

    checkpoint: Checkpoint
    loaded: Loaded  # the adapter merged in
    adapter: str  # reference of the kept folder
    losses: tuple[float, ...]
    examples: int
    share: float  # of the trained change that was kept


@dataclass(frozen=True)
class TrainingPlace:
    """Where a training is taken up again, whose it is, and what adapters are like."""

    scratch: Path
    lab: Lab
    lora: Lora  # of each adapter

    def run(self, name: Checkpoint, loaded: Loaded, steps: int) -> Run:
        """The run of one training; the sham's draws nothing that the other does not."""
        return Run(
            folder=self.scratch / name,
            seed=seed_of("preference tuning", loaded.key, self.lab.seed),
            save=(),
            every=max(1, steps // 10),
            name={"sft": "chosen answers", "dpo": "preferences"}.get(name, "shuffled preferences"),
            report=self.lab.report,
        )


def is_taught_answers(loaded: Loaded, how: AnswerTuning, lab: Lab) -> bool:
    """Whether a checkpoint is taught chosen answers before preferences."""
    lent = bool(lab.entry(loaded.key).chat_template) and loaded.weights == "hub"
    without = lent or loaded.tokenizer.chat_template is None
    return how.when == "always" or (how.when == "no_template" and without)


def teach_answers(
    loaded: Loaded, pairs: Sequence[Pair], how: AnswerTuning, place: TrainingPlace
) -> Trained:
    """The checkpoint after the chosen answers of the pairs."""
    said = [dialogue(p.prompt, p.chosen) for p in pairs]
    config = replace(how.config(how.steps, how.rate, place.lora), schedule="linear")
    run = place.run("sft", loaded, how.steps)
    found = train_answers(loaded, encode_dialogues(loaded, said), config, run)
    return _kept(Wanted("sft", lambda folder: 1.0), loaded, found, (len(said), config), place)


@dataclass(frozen=True)
class Wanted:
    """Which checkpoint is made, and how much of its change is kept."""

    name: Checkpoint
    share: Callable[[Path], float]  # of the adapter in a folder


def teach_preferences(
    loaded: Loaded,
    pairs: Sequence[Preferred],
    how: PreferenceTuning,
    place: TrainingPlace,
    wanted: Wanted,
) -> Trained:
    """The checkpoint after the preferences, itself the reference, at the share that is wanted."""
    config = replace(
        how.config(how.steps, how.rate[place.lab.weights], place.lora), schedule="linear"
    )
    dpo = Dpo(how.beta, how.chosen_weight)
    run = place.run(wanted.name, loaded, how.steps)
    found = train_preferences(loaded, encoded(loaded, pairs), dpo, config, run)
    return _kept(wanted, loaded, found, (len(pairs), config), place)


def _kept(
    wanted: Wanted,
    loaded: Loaded,
    found: TrainingResult,
    made: tuple[int, TrainingConfig],
    place: TrainingPlace,
) -> Trained:
    (examples, config), name = made, wanted.name
    whole = found.checkpoints[config.steps]
    share = wanted.share(whole)
    folder = interpolated(whole, place.scratch / f"{name}-kept", share)
    kept = place.lab.keep_folder(name)
    with kept as target:
        shutil.copytree(folder, target, dirs_exist_ok=True)
        text = adapter_card(_card(name, loaded, found, made, share))
        (target / "README.md").write_text(text, encoding="utf-8")
    role: Role = {"sft": "base", "dpo": "aligned"}.get(name, "sham")  # type: ignore[assignment]
    after = replace(merged(loaded, folder), role=role)
    return Trained(name, after, kept.reference, found.losses, examples, share)


def _card(
    name: Checkpoint,
    loaded: Loaded,
    found: TrainingResult,
    made: tuple[int, TrainingConfig],
    share: float,
) -> AdapterCard:
    examples, config = made
    about = {
        "sft": "on the chosen answers of preference pairs",
        "dpo": "by DPO to refuse what is unsafe and to answer what is not",
    }.get(name, "by DPO on pairs of which half were exchanged: a control, it prefers nothing")
    return AdapterCard(
        title=f"{loaded.key}: {name}",
        about=f"A LoRA adapter trained {about}.",
        base=f"{loaded.key}, {loaded.role}, {loaded.weights} weights",
        revision=loaded.revision,
        dual_use=False,
        facts={
            "Data": f"{examples} {'answers' if name == 'sft' else 'pairs'}",
            "Recipe": f"{config.steps} steps of {config.rows}, rate {config.rate:g}, {config.lora}",
            "Kept": f"{share:g} of the trained change",
            "Loss": f"{found.losses[0]:.4f} at the first step, {found.losses[-1]:.4f} at the last",
        },
    )
