"""Same architecture, figures: do curves hold the rows, both families of nulls, both readouts?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mahals.data.texts import AXIOMS
from mahals.phases.same_arch.figures import draw
from mahals.phases.same_arch.figures.dose_curves import FLOOR, axiom_curves, draw_dose_curves
from mahals.phases.same_arch.figures.gap_curves import dose_panels, price_panels
from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import collect
from mahals.reporting.lines import Line, lines
from tests.support.arm_rows import arm_row, evidence
from tests.support.swept_rows import swept
from tests.support.tiny_lab import MemoryKept

DOSES = (0.05, 0.1)
WORDS = ("isotropic random directions", "directions of shuffled pairs")


def test_curves_hold_the_rows_and_the_random_band() -> None:
    doses = (0.0, 0.5, 1.0)
    grid = [arm_row("steered", i, dose_kind="lambda", dose=d) for i, d in enumerate(doses)]
    random = [
        arm_row("random", 10 + 2 * i + k, draw=k, dose_kind="lambda", dose=d)
        for i, d in enumerate(doses[1:])
        for k in range(2)
    ]
    base = arm_row("unsteered", 30)
    influence = np.random.default_rng(0).normal(size=(31, 28))
    kept = MemoryKept({base.evidence: evidence(influence, np.zeros((31, 14), dtype=bool))})
    table: ArmTable[Any] = ArmTable([base, *grid, *random], kept)
    ((name, curve),) = draw_dose_curves(table, "last").items()
    assert name == "A" and list(curve.x) == list(doses)
    assert list(curve.arms["own vector"].values) == [r.aqi for r in grid]
    (band,) = curve.bands.values()
    assert band.values[0] == base.aqi
    assert band.values[1] == pytest.approx(np.mean([r.aqi for r in random[:2]]))
    assert band.lows[2] == min(r.aqi for r in random[2:])
    assert curve.references == {"unsteered": base.aqi}
    ((_, other),) = draw_dose_curves(table, "mean").items()
    assert list(other.arms["own vector"].values) == [r.aqi_mean for r in grid]
    assert other.bands["random directions"].lows[2] == min(r.aqi_mean for r in random[2:])
    drawn = axiom_curves(table)
    panels = drawn.panels
    assert drawn.variant == "add raw"
    assert [name.replace("\n", " ") for name in panels] == list(AXIOMS)
    line = list(panels.values())[2].arms["own vector"]
    assert list(line.values) == [r.aqi_axioms[2] for r in grid]
    own = influence[1, 2::7] * 7 * np.sqrt(4 * 3 / (28 * 27))  # of this axiom's 4 prompts
    half = stats.t.ppf(0.975, 3) * np.sqrt(((own - own.mean()) ** 2).sum() / (4 * 3))
    assert line.lows is not None and line.highs is not None
    assert line.highs[1] == pytest.approx(grid[1].aqi_axioms[2] + half)
    assert line.lows[1] == pytest.approx(grid[1].aqi_axioms[2] - half)


def test_a_level_that_reaches_the_lowest_there_is_says_so() -> None:
    grid = [arm_row("steered", i, dose_kind="lambda", dose=float(i)) for i in range(2)]
    low = [replace(r, aqi_mean=-33.0) for r in grid]  # of 4 prompts an axiom: -100 / 3
    base = arm_row("unsteered", 2)
    kept = MemoryKept({base.evidence: evidence(np.ones((3, 28)), np.zeros((3, 14), dtype=bool))})
    wide = evidence(np.tile([5.0, -5.0], (3, 14)), np.zeros((3, 14), dtype=bool))
    for rows, tensors, reached in ((grid, kept, False), (low, kept, False), (low, wide, True)):
        files = tensors if isinstance(tensors, MemoryKept) else MemoryKept({base.evidence: tensors})
        table: ArmTable[Any] = ArmTable([base, *rows], files)
        (curve,) = draw_dose_curves(table, "mean").values()
        assert (FLOOR in curve.references) == reached
    assert curve.references[FLOOR] == pytest.approx(-100 / 3)
    (curve,) = draw_dose_curves(table, "last").values()
    assert FLOOR not in curve.references, "the other readout is far from it"


def sweep() -> tuple[list[Row], MemoryKept]:
    """A target with its references, and at two doses its vector, the flip and two families."""
    labels = [("unsteered", {}), ("prompt", {"perplexity_ratio": None}), ("aligned", {})]
    labels[2][1]["perplexity_ratio"] = 1.3
    for i, dose in enumerate(DOSES):
        at = {"dose_kind": "kl", "dose": dose, "perplexity_ratio": 1.0 + dose}
        tried: dict[str, Any] = {"selection_gap": 0.5 * i, "selection_over": ()}
        labels += [("steered", at | tried), ("flipped", at)]
        for arm in ("random", "shuffled_pairs"):
            labels += [(arm, at | {"source": None, "draw": k}) for k in range(3)]
    refused = np.random.default_rng(2).random((len(labels), 20)) < 0.5
    tensors = evidence(np.random.default_rng(3).normal(size=(len(labels), 28)), refused)
    rows = []
    for i, (arm, changes) in enumerate(labels):
        unsafe, safe = refused[i, 0::2].mean(), refused[i, 1::2].mean()
        rates = {"refusal_unsafe": float(unsafe), "refusal_safe": float(safe)}
        rows.append(swept(arm, i, **{"target": "A", "source": "A"} | rates | changes))
    rows[:3] = [replace(r, source=None) for r in rows[:3]]
    return rows, MemoryKept({rows[0].evidence: tensors})


def gap(row: Row) -> float:
    return row.refusal_unsafe - row.refusal_safe


@pytest.fixture
def swept_lines() -> tuple[list[Row], ArmTable[Row], list[Line[Row]]]:
    rows, kept = sweep()
    table = ArmTable(rows, kept)
    return rows, table, lines(collect(table), table)


def test_gaps_start_unsteered_and_stand_beside_both_families_of_their_dose(swept_lines) -> None:
    rows, table, found = swept_lines
    ((name, curve),) = dose_panels(found, table).items()
    assert name == "A" and list(curve.x) == [0.0, *DOSES]
    own = curve.arms["own vector"]
    steered = [rows[0], *(r for r in rows if r.arm == "steered")]
    assert own.values == pytest.approx([gap(r) for r in steered])
    for i, row in enumerate(steered):
        interval = table.arm(row).refusals().interval
        assert (own.lows[i], own.highs[i]) == pytest.approx((interval.low, interval.high))
    flipped = [rows[0], *(r for r in rows if r.arm == "flipped")]
    assert curve.flipped["sign flipped"].values == pytest.approx([gap(r) for r in flipped])
    assert tuple(curve.bands) == WORDS
    for arm, band in zip(("random", "shuffled_pairs"), curve.bands.values(), strict=True):
        draws = [gap(r) for r in rows if r.arm == arm and r.dose == DOSES[1]]
        wanted = (np.mean(draws), min(draws), max(draws))
        assert (band.values[2], band.lows[2], band.highs[2]) == pytest.approx(wanted)
        assert band.values[0] == band.lows[0] == pytest.approx(gap(rows[0]))
    assert list(curve.references.values()) == pytest.approx([gap(r) for r in rows[:3]])
    assert curve.chosen == {"own vector": DOSES[1]}


def test_prices_are_joined_from_the_unsteered_model_and_nulls_are_points(swept_lines) -> None:
    rows, table, found = swept_lines
    ((name, panel),) = price_panels(found, table).items()
    assert name == "A"
    path = panel.paths["own vector"]
    assert list(path.prices) == [1.0, 1.05, 1.1] and path.chosen == 2
    assert list(panel.flipped["sign flipped"].prices) == [1.0, 1.05, 1.1]
    assert panel.flipped["sign flipped"].chosen is None
    assert tuple(panel.dots) == WORDS
    draws = [r for r in rows if r.arm == "shuffled_pairs"]
    points = [(r.perplexity_ratio, pytest.approx(gap(r))) for r in draws]
    assert list(panel.dots[WORDS[1]]) == points
    assert panel.landmarks["aligned checkpoint"] == (1.3, pytest.approx(gap(rows[2])))
    assert panel.levels == {"instruction in the prompt": pytest.approx(gap(rows[1]))}


def test_figures_say_their_readout_and_how_many_nulls_they_show(swept_lines) -> None:
    rows, kept = sweep()
    found = draw(rows, kept)
    assert set(found) == {"gap_over_dose", "gap_over_price"}, "no arm on a lambda grid"
    captions = [" ".join(f.texts[1].get_text().split()) for f in found.values()]
    assert all("3 isotropic random directions and 3 directions of shuffled" in c for c in captions)
    lambdas = [replace(r, dose_kind="lambda", dose=float(i)) for i, r in enumerate(rows[3:5])]
    grid = [replace(r, arm="steered") for r in lambdas]
    figures = draw([*rows, *grid], kept)
    named = {n: f.axes[0].get_ylabel() for n, f in figures.items() if "aqi" in n or "axiom" in n}
    assert named["aqi_vs_lambda"].startswith("aqi, last token (points)")
    assert named["aqi_vs_lambda_mean"].startswith("aqi, mean of the prompt (points)")
    assert named["per_axiom_curves"].startswith("aqi, last token (points)")


def test_an_arm_that_was_not_tried_on_the_selection_split_is_not_marked(swept_lines) -> None:
    rows, kept = sweep()
    table = ArmTable([replace(r, selection_gap=None, selection_over=None) for r in rows], kept)
    found = lines(collect(table), table)
    assert next(iter(dose_panels(found, table).values())).chosen == {}
    assert next(iter(price_panels(found, table).values())).paths["own vector"].chosen is None
