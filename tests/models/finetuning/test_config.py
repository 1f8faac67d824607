"""Are order and rates as by hand, and is what cannot be followed refused?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mahals.models.finetuning.config import examples_of_step, rate_at, steps_of
from mahals.models.finetuning.trainer import train_answers
from mahals.records import InputError
from tests.support.tiny_models import loaded
from tests.support.tiny_training import LORA, RECIPE, examples, told

pytest.importorskip("peft")


def test_every_epoch_has_every_example_once() -> None:
    seen = [i for step in range(1, 11) for i in examples_of_step(4, step, 3, 10)]
    assert [sorted(seen[at : at + 10]) for at in (0, 10, 20)] == [list(range(10))] * 3
    assert seen[:10] != seen[10:20]
    assert steps_of(7, 10, 3) == 24


def test_rates_by_hand() -> None:
    recipe = replace(RECIPE, steps=4, warmup=2, rate=1.0, schedule="linear")
    assert [rate_at(recipe, s) for s in (1, 2, 3, 4)] == [0.5, 1.0, 1.0, 0.5]
    constant = replace(recipe, schedule="constant")
    assert [rate_at(constant, s) for s in (1, 2, 3, 4)] == [0.5, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 0},
        {"rate": 0.0},
        {"warmup": 7},
        {"lora": replace(LORA, rank=0)},
        {"lora": None, "quantize": True},
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(
    change: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="training: "):
        train_answers(loaded("Llama"), examples(), replace(RECIPE, **change), told(tmp_path))
