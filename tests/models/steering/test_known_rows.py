"""Is each row of a training steered in its own way, and is nothing left behind?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("peft")

from mahals.models.finetuning.config import Run
from mahals.models.finetuning.examples import batch
from mahals.models.finetuning.trainer import learned_tokens, train_answers
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, Intervention
from mahals.models.steering.known_rows import steered_rows
from tests.support.lessons import MANY, lesson_examples, lessons, model
from tests.support.tiny_lab import WIDTH
from tests.support.tiny_training import LORA, RECIPE, same_bytes, told


def steered_arms(count: int) -> list[Arm]:
    """Every other example is steered, each along a direction of its own."""
    return [
        Arm("on", (Intervention(1, 4 * torch.eye(WIDTH)[i], 1.0, "add"),) if i % 2 else ())
        for i in range(count)
    ]


def trained(folder: Path, examples: Sequence[Any], arms: Sequence[Arm] | None) -> Any:
    config = replace(RECIPE, steps=2, rows=len(examples), micro=3, lora=LORA)
    run: Run = told(folder)
    if arms is None:
        return train_answers(model(), examples, config, run)
    with steered_rows(model(), [e.ids for e in examples], arms):
        return train_answers(model(), examples, config, run)


def test_each_example_is_steered_by_its_own_arm_while_it_is_trained_on(tmp_path: Path) -> None:
    examples = lesson_examples(lessons(MANY, 8, 0.5, sham=False))
    arms = steered_arms(len(examples))
    found = trained(tmp_path / "steered", examples, arms)
    total, count = 0.0, 0
    for example, arm in zip(examples, arms, strict=True):
        with torch.no_grad(), steered(model().model, [arm], [0]):
            values, _ = learned_tokens(model().model, batch([example], torch.device("cpu")))
        total, count = total - float(values.sum()), count + len(values)
    assert found.losses[0] == pytest.approx(total / count, rel=1e-5)
    unsteered = trained(tmp_path / "plain", examples, None)
    assert abs(unsteered.losses[0] - found.losses[0]) > 0.01
    assert not same_bytes(found.checkpoints[2], unsteered.checkpoints[2])


def test_unsteered_arms_train_the_same_bytes_and_nothing_is_left(tmp_path: Path) -> None:
    examples = lesson_examples(lessons(MANY, 6, 0.5, sham=False))
    none = trained(tmp_path / "none", examples, [Arm("off", ())] * len(examples))
    assert same_bytes(
        none.checkpoints[2], trained(tmp_path / "plain", examples, None).checkpoints[2]
    )
    with (
        pytest.raises(ZeroDivisionError),
        steered_rows(model(), [e.ids for e in examples], steered_arms(6)),
    ):
        raise ZeroDivisionError
    hooks = [m for m in model().model.modules() if m._forward_hooks or m._forward_pre_hooks]
    assert hooks == []


def test_a_row_that_is_no_example_is_refused() -> None:
    examples = lesson_examples(lessons(MANY, 4, 0.5, sham=False))
    with (
        steered_rows(model(), [e.ids for e in examples[:3]], steered_arms(3)),
        pytest.raises(KeyError),
    ):
        learned_tokens(model().model, batch(examples, torch.device("cpu")))
