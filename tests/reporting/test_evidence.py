"""Evidence: is each file read once, are rows found by their columns, controls by their dose?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mahals.maths.stats.intervals import jackknife_interval
from mahals.reporting.evidence import ArmTable, Part
from tests.support.arm_rows import DRAWS, arm_row, sample
from tests.support.tiny_lab import MemoryKept


class CountingKept(MemoryKept):
    """Kept files that count how often each is read."""

    def __init__(self, kept: MemoryKept) -> None:
        super().__init__(kept.files)
        self.reads: list[str] = []

    def tensors(self, reference: str) -> dict[str, torch.Tensor]:
        self.reads.append(reference)
        return super().tensors(reference)


def test_each_file_is_read_once_and_each_row_has_its_own_part_of_it() -> None:
    rows, kept = sample()
    counting = CountingKept(kept)
    table = ArmTable(rows, counting)
    for _ in range(2):
        for i, arm in enumerate(table.arms(rows)):
            assert arm.row is rows[i]
            expected = kept.files["A/evidence"]["influence"][i].numpy()
            np.testing.assert_array_equal(arm.influence, expected)
    changed = replace(rows[1], aqi=0.0)
    assert table.arm(changed).row is changed, "a row is not another that names the same place"
    assert counting.reads == ["A/evidence"]


def test_rows_are_found_by_their_columns() -> None:
    rows, kept = sample()
    table = ArmTable(rows, kept)
    assert table.where(arm="random", draw=1) == [rows[3]]
    assert table.where(on_grid=True) == [] and table.where() == rows
    assert table.one(arm="steered") is rows[1] and table.one(arm="prompt") is None
    with pytest.raises(ValueError, match=f"{DRAWS} rows have"):
        table.one(arm="random")
    assert table.values_of("arm") == ["unsteered", "steered", "random"]


def test_controls_are_those_of_a_rows_target_and_dose() -> None:
    rows, kept = sample()
    elsewhere = [
        replace(rows[2], **change)
        for change in ({"target": "B"}, {"operator": "ablate"}, {"layers": (2,)}, {"dose": 0.2})
    ]
    table = ArmTable([arm_row("unsteered", 0, target="B"), *elsewhere, *rows], kept)
    assert table.random_of(rows[1]) == rows[2:]
    assert table.unsteered_of(rows[1]) is rows[0]
    with pytest.raises(ValueError, match="C has no unsteered row"):
        table.unsteered_of(replace(rows[1], target="C"))


def test_a_mean_over_prompts_is_a_part_with_its_interval() -> None:
    values = np.array([0.0, 1.0, 1.0, 4.0])
    mean, one = Part.mean(values, None), Part.mean(values[::-1] - 1.0, None)
    assert mean.interval == jackknife_interval(values - 1.5, 1.5, None)
    assert mean.minus(one).estimate == 1.0
    assert mean.over_random([one]) is None
    found = mean.over_random([one, Part.mean(values - 2.0, None)])
    assert found is not None and found.interval.estimate == 1.5
