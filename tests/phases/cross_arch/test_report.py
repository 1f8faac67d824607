"""Crossing architectures, report: are grids, controls and verdicts those by hand?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mahals.maths.stats.controls import GainOverRandom
from mahals.phases.cross_arch.figures import control_figures
from mahals.phases.cross_arch.report.controls import is_nil, report_random_weights
from mahals.phases.cross_arch.report.homophily import crossed_societies
from mahals.phases.cross_arch.report.transfer import efficiencies, gains, report_transfer
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from tests.support.arm_rows import DRAWS, sample
from tests.support.tiny_lab import MemoryKept


def test_transfer_grids_put_sources_in_rows_and_targets_in_columns() -> None:
    rows, tensors = [], {}
    for t, target in enumerate("AB"):
        some, kept = sample()
        some = [r for r in some if r.arm != "shuffled_pairs"]
        tensors[f"{target}/evidence"] = kept.files["A/evidence"]
        moved = replace(some[1], source="BA"[t], map="ridge", aqi=50.0 + t, evidence_row=0)
        own = replace(some[1], source=target, aqi=90.0 + t)
        some = [some[0], own, moved, *some[2:]]
        rows += [replace(r, target=target, evidence=f"{target}/evidence") for r in some]
    table = ArmTable(rows, MemoryKept(tensors))
    found = collect(table)
    grid = gains(found, "ridge")
    mean = np.mean([r.aqi for r in rows if r.arm == "random" and r.target == "A"])
    assert (list(grid.rows), list(grid.columns)) == (["A", "B"], ["A", "B"])
    expected = [[90 - mean, 51 - mean], [50 - mean, 91 - mean]]
    np.testing.assert_allclose(np.array(grid.values, dtype=float), expected)
    assert gains(found, "identity").values[0][1] is None
    assert gains(found, "identity").reasons[0][1] == "widths differ"
    share = efficiencies(found, "ridge", table)
    assert share.values[0][0] is None and share.reasons[0][0] == "the native vector itself"
    assert crossed_societies(ArmTable(table.where(target="A"), MemoryKept(tensors))) is None
    agents = crossed_societies(table)
    assert agents is not None
    assert list(agents.states) == ["unsteered", "steered_by_B_ridge", "steered_by_A_ridge"]
    by_b = agents.states["steered_by_B_ridge"]
    assert [(a.row.target, a.row.map) for a in by_b.agents] == [("A", "ridge"), ("B", None)]
    assert {f: len(some) for f, some in agents.nulls.items()} == {"random": DRAWS}


def test_a_crossing_stands_beside_shuffled_maps_of_every_source() -> None:
    rows, kept = sample(source="B", map="ridge", aqi=30.0)
    through = [
        replace(r, source="BC"[i % 2], map="ridge")
        for i, r in enumerate(r for r in rows if r.arm == "shuffled")
    ]
    table = ArmTable([*[r for r in rows if r.arm != "shuffled"], *through], kept)
    (mapped,) = collect(table)
    told = report_transfer(mapped, [mapped], table)
    refused, safe = kept.files["A/evidence"]["refused"].numpy(), np.arange(24) % 2 == 1
    gaps = refused[:, ~safe].mean(axis=1) - refused[:, safe].mean(axis=1)
    own, nulls = gaps[1], gaps[[r.evidence_row for r in through]]
    assert told.report.metrics["gap_over_shuffled"] == pytest.approx(own - nulls.mean())
    assert told.efficiency == "the native vector has no arm at this dose"


def test_controls_are_drawn_beside_the_arm_that_they_control() -> None:
    rows, kept = sample(source="B", map="ridge", aqi=30.0)
    drawn = [
        replace(rows[1], arm="random_moved", draw=k, evidence_row=k, method=None) for k in range(2)
    ]
    found = collect(ArmTable([*rows, *drawn], kept))
    assert control_figures(found[:1], "ridge") == {}, "no control was measured"
    assert control_figures(found, "pad") == {}
    (figure,) = control_figures(found, "ridge").values()
    bars = [p.get_width() for p in figure.axes[0].patches]
    gaps = [e.gap_over_random.interval.estimate for e in found if e.gap_over_random is not None]
    assert bars == pytest.approx([gaps[0], np.mean(gaps[1:])]) and len(gaps) == 3


def test_a_target_without_nulls_is_neither_nil_nor_not() -> None:
    rows, kept = sample(source="B", map="ridge", aqi=30.0)
    (e,) = collect(ArmTable(rows, kept))
    over = e.over["random"]

    def low(found: GainOverRandom, bound: float) -> GainOverRandom:
        return replace(found, interval=replace(found.interval, low=bound))

    assert over.aqi is not None
    for aqi, gap, nil in ((-1.0, -1.0, True), (1.0, -1.0, False), (-1.0, 0.1, False)):
        changed = replace(over, aqi=low(over.aqi, aqi), gap=low(over.gap, gap))
        assert is_nil(replace(e, over={"random": changed})) is nil
    nothing_varies = replace(over, aqi=None, gap=low(over.gap, -1.0))
    assert is_nil(replace(e, over={"random": nothing_varies})) is True
    assert is_nil(replace(e, over={})) is None
    few = [r for r in rows if r.arm not in ("random", "shuffled")]
    said = report_random_weights(ArmTable(few, kept), False)
    assert not [k for k in said.metrics if k.endswith("nil")]
    assert "absent" in said.lines[0] and len(said.lines) == 1
