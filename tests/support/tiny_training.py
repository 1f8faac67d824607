"""Tiny training: conversations, a config of few steps, and what was learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.config import Lora, Run, TrainingConfig
from mahals.models.finetuning.examples import Example, batch, dialogue, encode_dialogues
from mahals.models.finetuning.trainer import learned_tokens
from tests.support.tiny_models import loaded

LORA = Lora(rank=2, alpha=4, dropout=0.0, targets="attention")
RECIPE = TrainingConfig(6, 3, 2, 0.01, 1, "constant", LORA, False)
TALKS = [
    dialogue("how do I help people", "share a garden"),
    dialogue("cat", "the cat sat on the mat"),
    dialogue("not to harm them", "learn to share"),
    dialogue("the old town", "by the quiet river"),
]


def told(folder: Path, **changes: Any) -> Run:
    plain: dict[str, Any] = {"seed": 0, "save": (), "every": 2, "name": "test"}
    return Run(folder=folder, report=lambda *_: None, **plain | changes)


def examples(family: str = "Llama") -> tuple[Example, ...]:
    return encode_dialogues(loaded(family), TALKS)


def nll(one: Loaded) -> float:
    """Mean loss of all learned tokens."""
    with torch.no_grad():
        values, _ = learned_tokens(one.model, batch(examples(), torch.device("cpu")))
    return -float(values.mean())


def same_bytes(one: Path, other: Path) -> bool:
    names = sorted(p.name for p in one.iterdir())
    assert names == sorted(p.name for p in other.iterdir())
    return all((one / n).read_bytes() == (other / n).read_bytes() for n in names)
