"""Training config: which matrices of an adapter, how many steps, how fast, in which order?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from mahals.records import Count, InputError, Positive, seed_of

Report = Callable[[str, int, int], None]  # (what, steps done, steps there will be)


@dataclass(frozen=True)
class Lora:
    """A low-rank adapter (Hu et al. 2021): W x + alpha / rank B A x."""

    rank: int
    alpha: int
    dropout: float  # of the adapter's input, in training alone
    targets: Literal["attention", "all"]  # all linear maps of the attention, or of the blocks


@dataclass(frozen=True)
class TrainingConfig:
    """A training. `rows` examples (or pairs) make a step, `micro` of them at once in memory."""

    steps: int
    rows: int
    micro: int
    rate: float
    warmup: int  # steps of linear rise
    schedule: Literal["constant", "linear"]  # then; linear: to 0 after the last step
    lora: Lora | None  # None: all weights are trained
    quantize: bool  # QLoRA: the frozen weights in 4 bits (nf4)


@dataclass(frozen=True)
class LoraTuning:
    """How an adapter is trained in any phase, at a constant rate after the warm-up."""

    rows: Positive  # examples a step
    micro: Positive  # of these at once in memory
    warmup: Count  # steps

    def config(
        self, steps: int, rate: float, lora: Lora, *, quantize: bool = False
    ) -> TrainingConfig:
        """The training of so many steps; a warm-up longer than these ends with them."""
        return TrainingConfig(
            steps=steps,
            rows=self.rows,
            micro=self.micro,
            rate=rate,
            warmup=min(self.warmup, steps),
            schedule="constant",
            lora=lora,
            quantize=quantize,
        )


@dataclass(frozen=True)
class Run:
    """Where a training lives and what it leaves there.

    `folder` holds `step-<n>` of each n in `save` and of the last step, and what a killed training
    is taken up again from, written every `every` steps.
    """

    folder: Path
    seed: int
    save: tuple[int, ...]
    every: int
    name: str  # what the progress shows
    report: Report


@dataclass(frozen=True)
class TrainingResult:
    """What a training left: checkpoints by step, and the loss of each step (lower is better)."""

    checkpoints: dict[int, Path]
    losses: tuple[float, ...]  # answers: nats per learned token; preferences: the DPO loss


def check_config(config: TrainingConfig, run: Run) -> None:
    """Raises InputError for a config or a run that cannot be followed."""
    lora = config.lora
    bounds = {
        "steps": config.steps >= 1,
        "rows": config.rows >= 1,
        "micro": config.micro >= 1,
        "rate": config.rate > 0,
        "warmup": 0 <= config.warmup <= config.steps,
        "lora": lora is None or (lora.rank >= 1 and lora.alpha >= 1 and 0 <= lora.dropout < 1),
        "quantize": not config.quantize or lora is not None,
        "save": all(1 <= s <= config.steps for s in run.save),
        "every": run.every >= 1,
    }
    wrong = [name for name, good in bounds.items() if not good]
    if wrong:
        got = getattr(config, wrong[0]) if hasattr(config, wrong[0]) else getattr(run, wrong[0])
        raise InputError(
            f"training: {wrong[0]}",
            expected="steps, rows, micro, every and rank of at least 1, a rate above 0, a warm-up "
            "and saved steps within the steps, dropout in [0, 1), quantize with LoRA alone",
            got=repr(got),
            cure=f"correct {wrong[0]}",
        )


def steps_of(epochs: float, examples: int, rows: int) -> int:
    """How many steps see every example `epochs` times, rounded up."""
    return max(1, -(-round(epochs * examples) // rows))


def rate_at(config: TrainingConfig, step: int) -> float:
    """Learning rate of a step, counted from 1."""
    if step <= config.warmup:
        return config.rate * step / config.warmup
    if config.schedule == "constant":
        return config.rate
    return config.rate * (1 - (step - 1 - config.warmup) / max(1, config.steps - config.warmup))


def examples_of_step(seed: int, step: int, rows: int, examples: int) -> list[int]:
    """The examples of a step, counted from 1: every epoch is an order of its own over all.

    A function of its arguments alone, so that a training that was taken up again goes on as it
    would have.
    """
    places = range((step - 1) * rows, step * rows)
    return [_order(seed, at // examples, examples)[at % examples] for at in places]


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, examples: int) -> list[int]:
    generator = np.random.default_rng(seed_of("order", seed, epoch))
    return [int(i) for i in generator.permutation(examples)]
