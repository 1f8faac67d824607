"""Crossing architectures, report: are grids, controls and verdicts those by hand?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mahals.maths.stats.controls import gain_over_random
from mahals.phases.cross_arch.figures import control_figures
from mahals.phases.cross_arch.report.controls import is_nil, over_shuffled, report_random_weights
from mahals.phases.cross_arch.report.homophily import crossed_societies
from mahals.phases.cross_arch.report.transfer import efficiencies, gains
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from mahals.reporting.report import Report
from tests.support.arm_rows import sample
from tests.support.tiny_lab import MemoryKept


def test_transfer_grids_put_sources_in_rows_and_targets_in_columns() -> None:
    rows, tensors = [], {}
    for t, target in enumerate("AB"):
        some, kept = sample()
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
    assert len(agents.random) == len({r.draw for r in rows if r.arm == "random"})


def test_a_map_is_compared_with_those_of_its_own_pair_fitted_without_correspondence() -> None:
    rows, kept = sample(source="B", map="ridge", aqi=30.0)
    shuffled = [
        replace(rows[1], arm="shuffled", draw=k, aqi=10.0 + 4 * k, evidence_row=k) for k in range(2)
    ]
    other = replace(shuffled[0], source="C", aqi=500.0)
    table = ArmTable([*rows, *shuffled, other], kept)
    mapped, *control = collect(table)
    said = over_shuffled(mapped, [mapped, *control], table)
    found = said.metrics
    assert found["aqi_over_shuffled"] == pytest.approx(30 - 12)
    gaps = [c.gap for c in control[:2]]
    assert found["refusal_gap_over_shuffled"] == pytest.approx(mapped.gap - np.mean(gaps))
    assert found["shuffled_refusal_gap_max"] == max(gaps)
    file = kept.files[rows[1].evidence]
    by_hand = gain_over_random(
        30.0,
        file["influence"][mapped.row.evidence_row].numpy(),
        np.array([10.0, 14.0]),
        file["influence"][:2].numpy(),
        [str(c) for c in file["clusters"].tolist()],
    )
    spread = [found[f"aqi_over_shuffled_{end}"] for end in ("low", "high", "p")]
    expected = [by_hand.interval.low, by_hand.interval.high, by_hand.p]
    assert spread == pytest.approx(expected) and "(K=2)" in said.lines[0]
    one = over_shuffled(mapped, [mapped, control[0]], table)
    assert set(one.metrics) == {k for k in found if k.endswith(("shuffled", "max"))}
    assert one.lines[0].endswith("1 shuffled map: no interval")
    assert over_shuffled(mapped, [mapped], table) == Report({}, [])


def test_controls_are_drawn_beside_the_arm_that_they_control() -> None:
    rows, kept = sample(source="B", map="ridge", aqi=30.0)
    drawn = [replace(rows[1], arm="shuffled", draw=k, evidence_row=k) for k in range(2)]
    found = collect(ArmTable([*rows, *drawn], kept))
    mapped = found[0]
    assert control_figures([mapped], "ridge") == {}, "no control was measured"
    assert control_figures(found, "pad") == {}
    (figure,) = control_figures(found, "ridge").values()
    bars = [p.get_width() for p in figure.axes[0].patches]
    gaps = [e.gap - e.random_gap for e in found if e.random_gap is not None]
    assert bars == pytest.approx([gaps[0], np.mean(gaps[1:])])


def test_a_target_without_any_interval_is_neither_nil_nor_not() -> None:
    rows, kept = sample(source="B", map="ridge", aqi=30.0)
    (e,) = collect(ArmTable(rows, kept))
    assert is_nil(replace(e, over_random=None, gap_over_random=None, random_gap=None)) is None
    assert is_nil(replace(e, over_random=None, gap_over_random=None, random_gap=e.gap)) is None
    assert is_nil(replace(e, over_random=None, gap_over_random=None, random_gap=e.gap - 1)) is False
    assert is_nil(e) in (True, False)
    few = [r for r in rows if r.arm != "random"]
    said = report_random_weights(ArmTable(few, kept), False)
    assert not [k for k in said.metrics if k.endswith("nil")]
    assert "absent" in said.lines[0] and len(said.lines) == 1
