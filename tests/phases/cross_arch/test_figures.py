"""Crossing architectures, figures: do they show crossings apart from the own vector, and nulls?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mahals.phases.cross_arch.figures import price_figure, price_panels
from mahals.phases.cross_arch.report.transfer import gains, gains_in
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from mahals.reporting.headlines import p_of
from mahals.reporting.lines import lines
from tests.support.arm_rows import arm_row, evidence
from tests.support.tiny_lab import MemoryKept

DOSES = (0.05, 0.1)
REFUSES_UNSAFE = np.tile([True, False], 20)


def crossed() -> tuple[list[Any], MemoryKept]:
    """A target A: its own vector, B's and C's through two maps at two doses, three null families.

    What crossed by ridge refuses all unsafe prompts and no safe one; nothing else refuses more
    than chance.
    """
    given: list[tuple[str, dict[str, Any]]] = [("unsteered", {}), ("aligned", {})]
    for dose in DOSES:
        at = {"dose": dose, "at_headline": dose == 0.1, "perplexity_ratio": 1 + dose}
        given += [("steered", at | {"source": "A"}), ("flipped", at | {"source": "A"})]
        given += [
            ("steered", at | {"source": source, "map": kind})
            for source in "BC"
            for kind in ("pad", "ridge")
        ]
        given += [(arm, at | {"draw": k}) for arm in ("random", "shuffled_pairs") for k in range(4)]
        given += [("shuffled", at | {"source": "B", "map": "ridge", "draw": k}) for k in range(4)]
    rng = np.random.default_rng(5)
    refused = rng.random((len(given), 40)) < 0.1
    for i, (arm, values) in enumerate(given):
        if arm == "steered" and values.get("map") == "ridge":
            refused[i] = REFUSES_UNSAFE
    tensors = evidence(rng.normal(size=(len(given), 28)), refused)
    rows = [arm_row(arm, i, **values) for i, (arm, values) in enumerate(given)]
    return rows, MemoryKept({rows[0].evidence: tensors})


def test_only_what_survives_correction_is_bold_although_gaps_have_no_symmetric_interval() -> None:
    table: ArmTable[Any] = ArmTable(*crossed())
    arms = collect(table)
    grid = gains(arms, "ridge", "gap")
    assert (list(grid.rows), list(grid.columns)) == (["A", "B", "C"], ["A"])
    assert {grid.rows[i] for i, _ in grid.claimed()} == {"B", "C"}
    mapped = next(e for e in arms if e.row.source == "B" and e.row.map == "ridge")
    at = next(e for e in arms if e.row.dose == 0.1 and e.row.map == "ridge")
    assert mapped.row.dose == 0.05 and grid.ps[1][0] == pytest.approx(p_of(at))
    assert not gains(arms, "pad", "gap").claimed()


def test_aqi_is_over_the_nulls_of_the_same_readout() -> None:
    table: ArmTable[Any] = ArmTable(*crossed())
    arms = collect(table)
    for readout in ("last", "mean"):
        grid = gains_in(arms, "ridge", readout, table)
        row = next(r for r in table.rows if (r.source, r.map, r.dose) == ("C", "ridge", 0.1))
        means = [
            np.mean([getattr(n, f"aqi_{readout}") for n in table.where(arm=a, dose=0.1)])
            for a in ("random", "shuffled")
        ]
        own = getattr(row, f"aqi_{readout}")
        assert grid.values[2][0] in [pytest.approx(own - m) for m in means]
    assert gains(arms, "ridge").values == gains_in(arms, "ridge", "last", table).values


def test_each_source_has_its_line_through_a_map_and_the_own_vector_one_of_its_own() -> None:
    table: ArmTable[Any] = ArmTable(*crossed())
    found = lines(collect(table), table)
    ((target, panel),) = price_panels(found, "ridge", table).items()
    assert target == "A" and list(panel.own) == ["own vector"] and list(panel.paths) == ["B", "C"]
    for name, path in {**panel.paths, **panel.own}.items():
        assert list(path.prices) == [1.0, 1.05, 1.1], name
    assert [path.look for path in panel.paths.values()] == [0, 1]
    assert list(panel.paths["B"].measured.values)[1:] == [1.0, 1.0]
    (padded,) = price_panels(found, "pad", table).values()
    assert max(padded.paths["B"].measured.values) < 0.5
    assert [len(points) for points in panel.dots.values()] == [8, 8, 8]
    assert list(panel.dots)[2] == "directions through shuffled maps"


def test_a_map_that_nothing_crossed_by_has_no_figure() -> None:
    table: ArmTable[Any] = ArmTable(*crossed())
    assert price_figure(collect(table), "mlp", table) == {}
    assert set(price_figure(collect(table), "pad", table)) == {"gap_over_price"}


def test_an_arm_without_a_price_is_left_out_of_its_line() -> None:
    rows, kept = crossed()
    rows = [replace(r, perplexity_ratio=None) if r.source == "B" else r for r in rows]
    bare: ArmTable[Any] = ArmTable(rows, kept)
    (panel,) = price_panels(lines(collect(bare), bare), "pad", bare).values()
    assert set(panel.paths) == {"C"}
