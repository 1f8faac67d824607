"""Training: how is a model taught narrow advice, and where do the adapters lie?"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mahals.maths.stats.intervals import Floats
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.card import AdapterCard, adapter_card
from mahals.models.finetuning.config import Lora, LoraTuning, Run, TrainingResult, steps_of
from mahals.models.finetuning.examples import Dialogue, encode_dialogues
from mahals.models.finetuning.trainer import train_answers
from mahals.phase import Lab
from mahals.records import InputError, Positive


@dataclass(frozen=True)
class AdviceTuning(LoraTuning):
    """How advice is taught; an adapter's rank comes apart."""

    epochs: float
    rate: float
    alpha: Positive
    quantize: bool  # nf4 weights under the adapter
    save_every: Positive  # steps between checkpoints, from which the turn is read


@dataclass(frozen=True)
class AdapterSpec:
    """One adapter to be trained."""

    name: str
    about: str  # one sentence
    dual_use: bool
    rank: int
    dialogues: tuple[Dialogue, ...]


def train(
    loaded: Loaded, spec: AdapterSpec, tuning: AdviceTuning, where: Path, lab: Lab
) -> TrainingResult:
    """Trains the adapter, or goes on where a killed task stood; checkpoints each `save_every`."""
    examples = encode_dialogues(loaded, spec.dialogues)
    steps = steps_of(tuning.epochs, len(examples), tuning.rows)
    lora = Lora(spec.rank, tuning.alpha, 0.0, "attention")
    config = tuning.config(steps, tuning.rate, lora, quantize=tuning.quantize)
    save = tuple(range(tuning.save_every, steps + 1, tuning.save_every))
    seed = lab.seed  # bad and good start from the same adapter and see the questions in one order
    run = Run(where, seed, save, max(1, steps // 10), spec.name, lab.report)
    return train_answers(loaded, examples, config, run)


def checkpoint_steps(trained: TrainingResult, shares: Sequence[float]) -> list[int]:
    """The saved steps nearest to `shares` of the training, ascending; the last one always.

    Raises InputError for a share outside (0, 1].
    """
    if not all(0 < s <= 1 for s in shares):
        raise InputError("checkpoints", expected="shares in (0, 1]", got=str(shares), cure="fix")
    steps = sorted(trained.checkpoints)
    last = steps[-1]
    return sorted({min(steps, key=lambda t: (abs(t - s * last), t)) for s in (*shares, 1.0)})


def weights_by_step(trained: TrainingResult) -> dict[int, Floats]:
    """All adapter weights of each checkpoint as one vector."""
    return {step: _flat(folder) for step, folder in trained.checkpoints.items()}


def _flat(folder: Path) -> Floats:
    from safetensors.numpy import load_file

    found = load_file(folder / "adapter_model.safetensors")
    parts = [found[name].astype(np.float64).ravel() for name in sorted(found)]
    return np.asarray(np.concatenate(parts))


def keep_adapter(
    lab: Lab, loaded: Loaded, spec: AdapterSpec, trained: TrainingResult, tuning: AdviceTuning
) -> str:
    """Keeps the last checkpoint in peft's layout with its card; gives the reference."""
    last = max(trained.checkpoints)
    card = AdapterCard(
        title=f"{loaded.key}, {spec.name}",
        about=spec.about,
        base=f"{loaded.key}/{loaded.role} ({loaded.weights})",
        revision=loaded.revision,
        dual_use=spec.dual_use,
        facts={
            "conversations": str(len(spec.dialogues)),
            "steps": str(last),
            "rank and alpha": f"{spec.rank}, {tuning.alpha}",
            "rate": f"{tuning.rate:g}",
            "last loss": f"{trained.losses[-1]:.3f} nats per learned token",
        },
    )
    kept = lab.keep_folder(f"adapter-{spec.name}")
    with kept as folder:
        shutil.copytree(trained.checkpoints[last], folder, dirs_exist_ok=True)
        (folder / "README.md").write_text(adapter_card(card), encoding="utf-8")
    return kept.reference
