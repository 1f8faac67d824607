"""Evidence: is each file read once, are rows found by their columns, controls by their dose?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.maths.stats.intervals import jackknife_interval
from mahals.records import InputError
from mahals.reporting.evidence import ArmTable, Part, RefusalGap
from mahals.schema import ArmRow
from tests.support.arm_rows import DRAWS, arm_row, at_dose, sample
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
    assert table.values_of("arm") == ["unsteered", "steered", "random", "shuffled_pairs"]


def test_controls_are_those_of_a_rows_target_and_dose() -> None:
    rows, kept = sample()
    elsewhere = [
        replace(rows[2], **change)
        for change in ({"target": "B"}, {"operator": "ablate"}, {"layers": (2,)}, {"dose": 0.2})
    ]
    table = ArmTable([arm_row("unsteered", 0, target="B"), *elsewhere, *rows], kept)
    assert table.random_of(rows[1]) == rows[2 : 2 + DRAWS]
    assert table.unsteered_of(rows[1]) is rows[0]
    with pytest.raises(ValueError, match="C has no unsteered row"):
        table.unsteered_of(replace(rows[1], target="C"))


def test_an_own_vector_has_nulls_of_shuffled_pairs_and_a_crossed_one_of_shuffled_maps() -> None:
    rows, kept = sample()
    moved = replace(rows[1], source="B", map="ridge", method="pca")
    through = [
        replace(rows[2 + k], arm="shuffled", source=s, map="pad") for k, s in enumerate("BC")
    ]
    others = [replace(through[0], target="B"), replace(through[0], dose=0.2)]
    table = ArmTable([*rows, moved, *others, *through], kept)
    isotropic, pairs = rows[2 : 2 + DRAWS], rows[2 + DRAWS :]
    assert table.nulls_of(rows[1]) == {"random": isotropic, "shuffled_pairs": pairs}
    assert table.nulls_of(moved) == {"random": isotropic, "shuffled": through}
    alone = ArmTable([rows[1], *pairs], kept)
    assert alone.nulls_of(rows[1]) == {"shuffled_pairs": pairs}, "a family without arms is absent"


def test_a_crossing_stands_beside_every_family_of_its_target_at_its_dose_and_at_its_best() -> None:
    rows, kept = sample()
    isotropic, pairs = rows[2 : 2 + DRAWS], rows[2 + DRAWS :]
    above = [at_dose(r, 0.2) for r in isotropic]
    below = [at_dose(r, 0.05) for r in isotropic]
    through = [replace(r, arm="shuffled", source="B", map="ridge") for r in pairs[:2]]
    elsewhere = [replace(through[0], target="B"), replace(through[0], layers=(2,))]
    table = ArmTable([*rows, *below, *above, *through, *elsewhere], kept)
    every = {"random": [isotropic, above], "shuffled_pairs": [pairs], "shuffled": [through]}
    crossed = replace(rows[1], source="B", map="pad")

    def beside(row: ArmRow, number: Callable[[ArmRow], float] = lambda r: r.dose or 0.0) -> Any:
        return table.nulls_beside(row, number)

    assert beside(crossed) == every
    own = beside(rows[1])
    assert own["random"] == every["random"] and own["shuffled_pairs"] == every["shuffled_pairs"]
    assert beside(at_dose(crossed, 0.2)) == {"random": [above]}
    assert beside(at_dose(crossed, 0.4)) == {}
    assert beside(crossed, lambda r: -(r.dose or 0.0))["random"] == [isotropic], "best there"
    one = beside(crossed, lambda r: float(r.draw == 0 and r.dose == 0.2))["random"]
    assert one == [isotropic, [above[0], *isotropic[1:]]], "each at its own best dose"
    grid = replace(rows[1], dose_kind="lambda", dose=1.0)
    on_grid = replace(isotropic[0], dose_kind="lambda", dose=1.0)
    beyond = replace(on_grid, dose=2.0)
    lambdas = ArmTable([grid, on_grid, beyond, *pairs], kept)
    assert lambdas.nulls_beside(grid, lambda r: r.dose or 0.0) == {"random": [[on_grid]]}, (
        "of a grid at its dose alone"
    )


def test_an_arm_has_both_readouts_whichever_is_the_headline() -> None:
    rows, kept = sample()
    tensors = kept.files["A/evidence"]
    arm = ArmTable(rows, kept).arm(rows[1])
    for readout, aqi in (("last", rows[1].aqi_last), ("mean", rows[1].aqi_mean)):
        part = arm.in_readout(readout)
        assert part.estimate == aqi
        np.testing.assert_array_equal(part.influence, tensors[f"influence_{readout}"][1].numpy())
    assert not np.array_equal(arm.influence_mean, arm.influence_last)


def test_a_refusal_gap_is_compared_with_refusal_gaps_alone() -> None:
    rows, kept = sample()
    arm, other = ArmTable(rows, kept).arms(rows[1:3])
    gap = arm.part("gap")
    assert gap.estimate == arm.gap and gap.interval.estimate == arm.gap
    with pytest.raises(TypeError, match="compared with a refusal gap"):
        gap.minus(other.part("aqi"))
    assert gap.over_random([other.part("gap"), other.part("aqi")]) is None
    with pytest.raises(InputError, match="2 safe and 0 unsafe"):
        RefusalGap.of(np.zeros(2), np.array([True, True]), None)


def test_a_mean_over_prompts_is_a_part_with_its_interval() -> None:
    values = np.array([0.0, 1.0, 1.0, 4.0])
    mean, one = Part.mean(values, None), Part.mean(values[::-1] - 1.0, None)
    assert mean.interval == jackknife_interval(values - 1.5, 1.5, None)
    assert mean.minus(one).estimate == 1.0
    assert mean.over_random([one]) is None
    found = mean.over_random([one, Part.mean(values - 2.0, None)])
    assert found is not None and found.interval.estimate == 1.5
