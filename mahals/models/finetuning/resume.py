"""Training state: how does it lie on disk: the checkpoints, and what a killed one goes on from?"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.lora import CONFIG

_STATE = "state.pt"


@dataclass(frozen=True)
class TrainingState:
    """How far a training had come: steps are counted by their losses."""

    losses: list[float]
    weights: list[Tensor]
    optimizer: dict[str, Any]


def load_state(folder: Path, mark: str) -> TrainingState | None:
    """What a killed training of the same `mark` left; None, and an empty folder, without one.

    `mark` is a hash of all that decides the training.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / _STATE
    if state.is_file():
        found = torch.load(state, weights_only=True)
        if found["mark"] == mark:
            return TrainingState(found["losses"], found["weights"], found["optimizer"])
    for path in (state, *folder.glob("step-*")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return None


def save_state(folder: Path, mark: str, state: TrainingState) -> None:
    """Writes the state; after a kill the file is the old one or the new one."""
    draft = folder / f".{_STATE}.unfinished"
    whole = {"mark": mark, "losses": state.losses, "weights": state.weights}
    with draft.open("wb") as file:
        torch.save(whole | {"optimizer": state.optimizer}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, folder / _STATE)


def checkpoint_at(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / f"step-{step:05d}"


def save_checkpoint(folder: Path, step: int, model: Any, loaded: Loaded) -> None:
    """The adapter in peft's own layout, or all weights with the tokenizer; whole or not at all."""
    target = checkpoint_at(folder, step)
    draft = folder / f".{target.name}.unfinished"
    shutil.rmtree(draft, ignore_errors=True)
    if isinstance(model, PreTrainedModel):
        model.save_pretrained(draft)
        loaded.tokenizer.save_pretrained(draft)
    else:
        model.save_pretrained(draft, save_embedding_layers=False)  # or peft asks the hub
        _in_order(draft / CONFIG)
        (draft / "README.md").unlink()  # whoever keeps the adapter writes one
    shutil.rmtree(target, ignore_errors=True)
    draft.rename(target)


def _in_order(config: Path) -> None:
    """The adapter's config with its keys and sets in order: peft's order of a set is chance."""
    found = json.loads(config.read_text(encoding="utf-8"))
    found["target_modules"] = sorted(found["target_modules"])
    config.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")
