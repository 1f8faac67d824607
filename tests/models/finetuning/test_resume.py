"""Does a killed training go on to the same bytes, and another take nothing over?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mahals.models.finetuning.trainer import train_answers
from tests.support.tiny_models import loaded
from tests.support.tiny_training import LORA, RECIPE, examples, same_bytes, told

pytest.importorskip("peft")


def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    recipe = replace(RECIPE, lora=replace(LORA, dropout=0.3), steps=9)
    whole = train_answers(loaded("Llama"), examples(), recipe, told(tmp_path / "a", save=(3,)))
    steps: list[int] = []

    def killed(what: str, done: int, total: int) -> None:
        steps.append(done)
        if len(steps) == 5:
            raise KeyboardInterrupt

    run = told(tmp_path / "b", save=(3,))
    with pytest.raises(KeyboardInterrupt):
        train_answers(loaded("Llama"), examples(), recipe, replace(run, report=killed))
    again = train_answers(loaded("Llama"), examples(), recipe, replace(run, report=killed))
    assert steps == [1, 2, 3, 4, 5, 5, 6, 7, 8, 9]  # taken up after the state of step 4
    assert again.losses == whole.losses
    for step in (3, 9):
        assert same_bytes(whole.checkpoints[step], again.checkpoints[step])
    train_answers(loaded("Llama"), examples(), recipe, replace(run, report=killed))
    assert len(steps) == 10  # nothing is left to do


def test_another_training_takes_nothing_over(tmp_path: Path) -> None:
    first = train_answers(loaded("Llama"), examples(), RECIPE, told(tmp_path, save=(2,)))
    other = train_answers(loaded("Llama"), examples()[:3], RECIPE, told(tmp_path))
    assert other.losses != first.losses
    assert not (tmp_path / "step-00002").exists()
