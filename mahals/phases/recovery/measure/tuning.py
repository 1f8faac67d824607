"""Dealignment tuning: how are the rejected answers taught, and the chosen ones as the control?"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mahals.data.texts import Pair
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.card import AdapterCard, adapter_card
from mahals.models.finetuning.config import Lora, LoraTuning, Run, TrainingConfig, TrainingResult
from mahals.models.finetuning.examples import dialogue, encode_dialogues
from mahals.models.finetuning.lora import merged
from mahals.models.finetuning.trainer import train_answers
from mahals.phase import Lab
from mahals.records import Count, InputError, digest, seed_of

Side = Literal["rejected", "chosen"]
LAST = 10  # steps whose mean loss a row tells


@dataclass(frozen=True)
class DealignmentTuning(LoraTuning):
    """How the adapters are trained; both sides alike, so that the checkpoint of a step is what a
    training of so many steps gives."""

    steps: tuple[int, ...]  # at which the model is measured, rising
    pairs: Count  # of the extraction split; 0 = all
    rate: dict[str, float]  # by weights
    lora: Lora
    quantize: bool  # the frozen weights in 4 bits while it is trained


@dataclass(frozen=True)
class Tuned:
    """The checkpoint after some steps on one side of the pairs."""

    side: Side
    steps: int
    loaded: Loaded  # the adapter merged in
    adapter: str  # reference of the kept folder
    loss: float  # nats per answer token, mean of the last steps


def check_tuning(tuning: DealignmentTuning, weights: str) -> None:
    """Raises InputError for steps that do not rise from 1, and weights without a rate."""
    steps = tuning.steps
    if not steps or steps[0] < 1 or list(steps) != sorted(set(steps)):
        raise InputError(
            "recovery.tuning.steps",
            expected="one or more rising numbers of steps, from 1",
            got=str(list(steps)),
            cure="for example [10, 20, 40]",
        )
    if weights not in tuning.rate:
        raise InputError(
            "recovery.tuning.rate",
            expected=f"a rate for weights={weights}",
            got=", ".join(sorted(tuning.rate)) or "none",
            cure=f"add {weights}",
        )


def tuning_pairs(lab: Lab, count: int) -> tuple[Pair, ...]:
    """The first `count` pairs of the extraction split whose two answers say something."""
    found = [p for p in lab.pairs("extraction") if p.chosen.strip() and p.rejected.strip()]
    return tuple(found[:count] if count else found)


def tune(
    original: Loaded, side: Side, tuning: DealignmentTuning, scratch: Path, lab: Lab
) -> list[Tuned]:
    """The checkpoints of one side, one for each of `tuning.steps`; their adapters are kept.

    A killed training goes on from `scratch`. Raises InputError without pairs.
    """
    pairs = tuning_pairs(lab, tuning.pairs)
    said = [dialogue(p.prompt, getattr(p, side)) for p in pairs]
    rate = tuning.rate[lab.weights]
    config = tuning.config(tuning.steps[-1], rate, tuning.lora, quantize=tuning.quantize)
    run = Run(
        folder=scratch / side,
        seed=seed_of("tuning", original.key, lab.seed),
        save=tuning.steps,
        every=max(1, tuning.steps[-1] // 10),
        name=f"{side} answers",
        report=lab.report,
    )
    trained = train_answers(original, encode_dialogues(original, said), config, run)
    return [_kept(original, side, step, trained, (pairs, config), lab) for step in tuning.steps]


def _kept(
    original: Loaded,
    side: Side,
    step: int,
    trained: TrainingResult,
    made: tuple[Sequence[Pair], TrainingConfig],
    lab: Lab,
) -> Tuned:
    folder, losses = trained.checkpoints[step], trained.losses[max(0, step - LAST) : step]
    loss = sum(losses) / len(losses)
    kept = lab.keep_folder(f"{side}.step-{step:05d}")
    with kept as place:
        shutil.copytree(folder, place, dirs_exist_ok=True)
        text = adapter_card(_card(original, side, step, loss, made))
        (place / "README.md").write_text(text, encoding="utf-8")
    return Tuned(side, step, merged(original, folder), kept.reference, loss)


def _card(
    original: Loaded,
    side: Side,
    step: int,
    loss: float,
    made: tuple[Sequence[Pair], TrainingConfig],
) -> AdapterCard:
    pairs, config = made
    worse = side == "rejected"
    about = "the control: what any fine-tuning costs" if not worse else "to be brought back"
    return AdapterCard(
        title=f"{original.key}: {step} steps on {side} answers",
        about=f"A LoRA adapter trained on the {side} answers of preference pairs, {about}.",
        base=f"{original.key}, {original.role}, {original.weights} weights",
        revision=original.revision,
        dual_use=worse,
        facts={
            "Data": f"{len(pairs)} pairs of the extraction split, digest {digest(pairs)[:12]}",
            "Recipe": f"{config.rows} answers a step, rate {config.rate:g}, {config.lora}",
            "Loss": f"{loss:.4f} nats per answer token (mean of the last {LAST} steps)",
        },
    )
