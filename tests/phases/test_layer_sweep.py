"""Is each block steered alone, beside null arms, and is the best one under the ceiling named?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pytest

from mahals.evaluation.arms import own_and_flipped, own_label
from mahals.evaluation.bench import bench
from mahals.evaluation.dose import Reached
from mahals.evaluation.native_vectors import native, placed
from mahals.evaluation.scores import measure_arms
from mahals.phase import Summary
from mahals.phases.layer_sweep import PHASE
from mahals.phases.layer_sweep.measure import SPLIT, Params
from mahals.phases.layer_sweep.rows import Row
from mahals.phases.layer_sweep.workload import workload
from mahals.reporting.evidence import ArmTable
from mahals.schema import ArmRow
from mahals.usage import TextSizes
from tests.support.tiny_lab import (
    LAYERS,
    SUITE,
    MemoryKept,
    TinyLab,
    lab_with_vectors,
    refused,
    run,
)

PARAMS = Params(layers="all", method="mean_difference", operator="add", nulls=2, suite=SUITE)


@pytest.fixture(scope="module")
def lab() -> TinyLab:
    return lab_with_vectors()


@pytest.fixture(scope="module")
def rows(lab: TinyLab) -> list[Row]:
    return run(PHASE, PARAMS, lab)


def of(rows: list[Row], **wanted: Any) -> list[Row]:
    return [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]


def test_each_block_is_steered_alone_beside_nulls_and_the_unsteered_model_comes_once(
    rows: list[Row],
) -> None:
    assert [r.arm for r in rows].count("unsteered") == 1 and rows[0].depth is None
    for block in range(LAYERS):
        here = of(rows, layers=(block,))
        own = of(here, arm="steered")
        assert [r.dose for r in own] == list(SUITE.kls)
        assert {r.depth for r in own} == {(block + 1) / LAYERS}
        for family in ("random", "shuffled_pairs"):
            nulls = of(here, arm=family)
            assert [r.draw for r in nulls] == [0, 1] and {r.dose for r in nulls} == {SUITE.dose_kl}


def test_rows_are_those_of_the_selection_split(rows: list[Row], lab: TinyLab) -> None:
    """Measured again by hand: the block's vector at the strength that the row states."""
    row = of(rows, arm="steered", layers=(2,))[0]
    at = bench(lab, "A", "base", SUITE, SPLIT)
    own = native(lab, "A", "mean_difference", "contrast")
    label = own_label(own, "add", (2,))
    direction = own_and_flipped(label, placed(own.values, (2,), "raw"))[0]
    assert row.strength is not None
    (found,) = measure_arms(at, [direction.at(row.strength)], neutral=True)
    assert row.aqi == pytest.approx(found.aqi.aqi.estimate, abs=1e-6)
    assert found.shift is not None and row.kl == pytest.approx(found.shift.largest, abs=1e-6)
    assert row.refusal_unsafe == np.mean(
        [
            r
            for r, i in zip(found.behaviour.refused, at.answered, strict=True)
            if at.prompts[i].label == 0
        ]
    )
    assert {p.split for p in at.prompts} == {"selection"}


def test_the_best_block_is_the_highest_over_the_harder_nulls_of_those_whose_price_is_known(
    rows: list[Row], lab: TinyLab
) -> None:
    def told(**changes: dict[str, Any]) -> Summary:
        """With columns of the headline arm of a block changed."""
        made = [
            replace(r, **changes.get(f"at_{r.layers[0]}", {}))
            if r.arm == "steered" and r.at_headline
            else r
            for r in rows
            if r.layers
        ]
        return PHASE.summarize([rows[0], *made], MemoryKept(lab.files))

    cheap: dict[str, Any] = {"over_ceiling": (), "perplexity_ratio": 1.0, "safe_accuracy": 1.0}
    gaps = told().metrics
    harder = {
        b: min(gaps[f"block_{b}/gap_over_random"], gaps[f"block_{b}/gap_over_shuffled_pairs"])
        for b in range(LAYERS)
    }
    best = max(harder, key=lambda b: (harder[b], -b))
    every = {f"at_{b}": cheap for b in range(LAYERS)}
    found = told(**every).metrics
    assert found["best_block"] == best and found["best_depth"] == (best + 1) / LAYERS
    assert found["best_gap_over_nulls"] == pytest.approx(harder[best])
    for broken in ({"over_ceiling": ("perplexity_ratio",)}, {"safe_accuracy": None}):
        other = told(**{**every, f"at_{best}": {**cheap, **broken}}).metrics
        rest = {b: v for b, v in harder.items() if b != best}
        assert other["best_block"] == max(rest, key=lambda b: (rest[b], -b))
    dear = {"over_ceiling": ("perplexity_ratio",)}
    none = told(**{f"at_{b}": dear for b in range(LAYERS)})
    assert "best_block" not in none.metrics
    assert any("none is best" in line for line in none.lines)


def test_a_block_at_which_nothing_reaches_its_dose_is_told_with_the_reason() -> None:
    """No strength is found: the block has the unsteered model's row, why, and no figure."""
    lab = lab_with_vectors()
    nothing = Reached((), ("own vector at kl=0.1: not measured, out of reach",))
    with mock.patch("mahals.phases.layer_sweep.measure.cached_doses", lambda *args: nothing):
        rows = run(PHASE, PARAMS, lab)
    assert [r.arm for r in rows] == ["unsteered"] * LAYERS
    told = PHASE.summarize(rows, MemoryKept(lab.files))
    assert told.metrics == {} and any("out of reach" in line for line in told.lines)
    assert PHASE.draw(rows, MemoryKept(lab.files)) == {}


def test_gaps_over_nulls_are_those_of_the_evidence(rows: list[Row], lab: TinyLab) -> None:
    told = PHASE.summarize(rows, MemoryKept(lab.files))
    table: ArmTable[ArmRow] = ArmTable(rows, MemoryKept(lab.files))
    for block in range(LAYERS):
        own = of(rows, arm="steered", layers=(block,), at_headline=True)[0]
        nulls = [table.arm(r).gap for r in of(rows, arm="random", layers=(block,))]
        name = f"block_{block}/gap_over_random"
        assert told.metrics[name] == pytest.approx(table.arm(own).gap - np.mean(nulls))
        assert told.metrics[f"{name}_low"] < told.metrics[name] < told.metrics[f"{name}_high"]
    assert told.entries == (), "a block that is chosen here is no line of the board"


def test_the_figure_has_a_point_for_each_block(rows: list[Row], lab: TinyLab) -> None:
    figure = PHASE.draw(rows, MemoryKept(lab.files))["gap_over_blocks"]
    (axes,) = figure.axes
    points = {len(line.get_xdata()) for line in axes.lines if len(line.get_xdata()) > 2}
    assert points == {LAYERS}
    assert "nothing is found" in " ".join(t.get_text() for t in figure.texts).replace("\n", " ")


def test_more_nulls_than_vectors_of_shuffled_pairs_are_refused(lab: TinyLab) -> None:
    params = replace(PARAMS, nulls=9)
    (task, *_) = PHASE.plan(params, lab)
    assert "steering_vectors.shuffles" in str(
        refused(lambda: list(PHASE.measure(task, params, lab)))
    )


def test_a_block_high_up_costs_less_than_one_low_down() -> None:
    first, *_, last = PHASE.plan(PARAMS, TinyLab())
    texts = TextSizes(*[10] * len(TextSizes.__dataclass_fields__))
    low, high = (
        workload(replace(task, first=False), PARAMS, texts, LAYERS) for task in (first, last)
    )
    assert low.written == high.written > 0 and low.read > high.read
    assert workload(first, PARAMS, texts, LAYERS).written > low.written, "strength 0, once"
