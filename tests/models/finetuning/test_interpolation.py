"""Is a checkpoint that went a share of the way between its start and what it was trained to?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mahals.models.finetuning.interpolation import interpolated
from mahals.models.finetuning.lora import WEIGHTS, merged
from mahals.models.finetuning.trainer import train_answers
from mahals.records import InputError
from tests.support.tiny_models import loaded
from tests.support.tiny_training import RECIPE, examples, told

pytest.importorskip("peft")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    recipe = replace(RECIPE, rate=0.05)
    return train_answers(loaded("Llama"), examples(), recipe, told(folder)).checkpoints[6]


def test_each_weight_is_the_share_of_the_way_from_its_start(adapter: Path, tmp_path: Path) -> None:
    one = loaded("Llama")
    whole = merged(one, adapter)
    part = merged(one, interpolated(adapter, tmp_path / "part", 0.3))
    moved = 0
    for name, start in one.model.named_parameters():
        end, between = (m.model.get_parameter(name) for m in (whole, part))
        torch.testing.assert_close(between, start + 0.3 * (end - start), rtol=1e-5, atol=1e-6)
        moved += not torch.equal(start, end)
    assert moved == 16 and part.revision not in (one.revision, whole.revision)


def test_the_whole_way_is_the_adapter_and_what_lay_there_is_replaced(
    adapter: Path, tmp_path: Path
) -> None:
    place = tmp_path / "whole"
    place.mkdir()
    (place / "old").touch()
    found = interpolated(adapter, place, 1.0)
    assert sorted(p.name for p in found.iterdir()) == sorted(p.name for p in adapter.iterdir())
    assert (found / WEIGHTS).read_bytes() == (adapter / WEIGHTS).read_bytes()


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01])
def test_a_share_that_is_none_is_refused(adapter: Path, tmp_path: Path, share: float) -> None:
    with pytest.raises(InputError, match="above 0, at most 1"):
        interpolated(adapter, tmp_path / "none", share)
