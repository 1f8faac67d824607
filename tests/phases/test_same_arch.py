"""Does the sweep measure every arm it plans, and its controls beside it?"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.phase import COLUMNS
from mahals.phases.same_arch import PHASE, Params, Row
from mahals.records import from_plain, to_plain
from mahals.stats import spearman
from tiny_lab import SUITE, MemoryKept, TinyLab, lab_with_vectors, refused, run

PARAMS = Params(
    lambdas=(0.0, 0.5, 1.0),
    method="mean_difference",
    layers="auto",
    operators=("add", "add_preserve_norm"),
    placements=("raw", "increments"),
    suite=SUITE,
)
DRAWS = SUITE.random_directions


@pytest.fixture(scope="module")
def lab() -> TinyLab:
    return lab_with_vectors()


@pytest.fixture(scope="module")
def rows(lab: TinyLab) -> list[Row]:
    return run(PHASE, PARAMS, lab)


def of(rows: list[Row], **wanted: Any) -> list[Row]:
    return [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]


def test_increments_are_planned_only_where_they_differ_from_raw() -> None:
    def steps(layers: Any) -> list[Any]:
        plan = PHASE.plan(replace(PARAMS, layers=layers), TinyLab())
        return [(t.operator, t.placement) for t in plan]

    one = [(None, None), ("add", "raw"), ("add_preserve_norm", "raw")]
    assert steps("auto") == steps((2.0,)) == one
    both = [(o, p) for o in PARAMS.operators for p in PARAMS.placements]
    assert steps((1.0, 2.0)) == [(None, None), *both]


def test_rows_are_the_references_then_each_grid_with_its_controls(rows: list[Row]) -> None:
    assert [r.arm for r in rows[:3]] == ["unsteered", "prompt", "aligned"]
    for operator in PARAMS.operators:
        grid = of(rows, operator=operator)
        assert [r.arm for r in of(grid, dose=0.0)] == ["steered"]
        for dose in (0.5, 1.0, SUITE.dose_kl):
            arms = [r.arm for r in of(grid, dose=dose)]
            assert arms == ["steered", "flipped", *["random"] * DRAWS]
    assert len(rows) == 3 + 2 * (1 + 3 * (2 + DRAWS))
    assert [from_plain(Row, to_plain(r)) for r in rows] == rows
    assert {r.layers for r in rows if r.operator} == {(1,)}


def test_lambda_zero_is_the_unsteered_row_exactly(rows: list[Row]) -> None:
    base = rows[0]
    for row in of(rows, dose=0.0):
        same = ("aqi", "aqi_low", "aqi_high", "aqi_axioms", "refusal_unsafe", "refusal_safe")
        assert all(getattr(row, k) == getattr(base, k) for k in same)
        assert (row.kl, row.perplexity_ratio) == (0.0, 1.0)
        assert (row.degenerate_share, row.safe_accuracy, row.over_ceiling) == (
            base.degenerate_share,
            base.safe_accuracy,
            (),
        )


def test_arms_move_and_arms_at_equal_kl_have_equal_kl(rows: list[Row]) -> None:
    assert of(rows, dose=1.0, arm="steered")[0].aqi != rows[0].aqi
    for row in of(rows, dose_kind="kl"):
        assert row.kl == pytest.approx(SUITE.dose_kl, rel=0.5)  # found on other texts
    lambdas = of(rows, dose=1.0, operator="add")
    assert {r.strength for r in lambdas} == {1.0}
    assert len({r.aqi for r in lambdas}) == len(lambdas)


def test_adding_at_the_block_that_is_read_changes_no_aqi() -> None:
    """With pool mean the shift is the same for every prompt; the answers may well change."""
    params = replace(PARAMS, layers=(-1.0,), operators=("add",), lambdas=(0.0, 2.0))
    found = run(PHASE, params, lab_with_vectors())
    for row in of(found, operator="add"):
        assert row.aqi == pytest.approx(found[0].aqi, abs=2e-3)
        assert row.aqi_axioms == pytest.approx(found[0].aqi_axioms, abs=5e-3)
    assert of(found, dose=2.0)[0].kl > 0.01


def test_the_aligned_checkpoint_has_a_price_but_no_kl(rows: list[Row]) -> None:
    base, prompt, aligned = rows[:3]
    assert (base.kl, base.perplexity_ratio) == (0.0, 1.0)
    assert aligned.kl is None and aligned.perplexity_ratio not in (None, 1.0)
    assert (prompt.kl, prompt.perplexity_ratio) == (None, None) and prompt.reason
    assert len({base.aqi, prompt.aqi, aligned.aqi}) == 3


def test_cosines_are_those_of_steering_vectors_over_all_blocks(
    rows: list[Row], lab: TinyLab
) -> None:
    mean = np.mean([r.cosine for r in lab.rows("steering_vectors", "A")])
    (cosine,) = {r.cosine for r in of(rows, arm="steered")}
    assert cosine == pytest.approx(mean)
    assert {r.cosine for r in rows if r.arm != "steered"} == {None}


def test_every_row_has_its_line_in_the_evidence(rows: list[Row], lab: TinyLab) -> None:
    for row in rows:
        tensors = lab.files[row.evidence]
        refused = tensors["refused"][row.evidence_row]
        unsafe = tensors["labels"] == 0
        assert refused[unsafe].double().mean().item() == row.refusal_unsafe
        influence = tensors["influence"][row.evidence_row]
        assert influence.shape == (84,) and influence.sum().abs() < 1e-6
    assert len({(r.evidence, r.evidence_row) for r in rows}) == len(rows)


def test_a_method_that_was_not_made_is_refused() -> None:
    params = replace(PARAMS, method="pca")
    assert "'pca'" in str(refused(lambda: run(PHASE, params, lab_with_vectors())))


def test_nan_weights_are_refused_and_never_measured() -> None:
    import copy

    from tiny_lab import model

    def damaged(key: str, role: str) -> Any:
        one = model(key, role)
        inner = copy.deepcopy(one.model)
        with torch.no_grad():
            inner.model.layers[0].mlp.up_proj.weight[0] = float("nan")
        return replace(one, model=inner)

    lab = lab_with_vectors()
    lab.load = damaged
    said = str(refused(lambda: run(PHASE, PARAMS, lab)))
    assert "nan" in said and "\n" not in said


def test_summary_is_pure_and_says_gain_and_trend(rows: list[Row], lab: TinyLab) -> None:
    lab.asked.clear()
    kept = MemoryKept(lab.files)
    found = PHASE.summarize(rows, kept)
    assert found == PHASE.summarize(list(rows), kept)
    grid = of(rows, arm="steered", dose_kind="lambda", operator="add")
    slope = np.polyfit([r.dose for r in grid], [r.aqi for r in grid], 1)[0]
    assert found.metrics["add/raw/aqi_slope"] == pytest.approx(slope)
    monotone = all(a.aqi <= b.aqi for a, b in itertools.pairwise(grid))
    said = "monotone" if monotone else "not monotone"
    start = f"A, add raw aqi over lambda: slope {slope:+.1f} ["
    assert any(x.startswith(start) and f", {said} over 3" in x for x in found.lines)
    own = of(rows, arm="steered", dose_kind="kl", operator="add")[0]
    random = [r.aqi for r in of(rows, arm="random", dose_kind="kl", operator="add")]
    gain = found.metrics["add/raw/gain_over_random"]
    assert gain == pytest.approx(own.aqi - np.mean(random))
    assert found.metrics["unsteered_aqi"] == rows[0].aqi
    assert lab.asked == []


def test_entries_are_the_arms_and_the_references_once_each(rows: list[Row], lab: TinyLab) -> None:
    entries = PHASE.summarize(rows, MemoryKept(lab.files)).entries
    keys = [e.configuration for e in entries]
    assert len(set(keys)) == len(keys) == 3 + 2 * 3 * 3
    assert all(set(e.metrics) <= set(COLUMNS) for e in entries)
    ranked = [e for e in entries if e.configuration.arm in ("steered", "flipped")]
    assert all("gain_over_random_p" in e.metrics for e in ranked)


def test_two_points_are_no_trend(rows: list[Row], lab: TinyLab) -> None:
    few = [r for r in rows if not (r.dose_kind == "lambda" and r.dose == 0.5)]
    assert "add/raw/aqi_slope" not in PHASE.summarize(few, MemoryKept(lab.files)).metrics


def test_the_cosine_is_tested_over_models_not_assumed(rows: list[Row], lab: TinyLab) -> None:
    """Four models: a rank correlation with its interval; three: nothing is said."""
    copies: list[Row] = []
    for i, name in enumerate("ABCD"):
        own = [replace(r, target=name, source=name if r.source else None) for r in rows]
        own = [r if r.cosine is None else replace(r, cosine=0.1 * i) for r in own]
        own = [
            replace(r, aqi=r.aqi + i * i) if r.arm == "steered" and r.dose_kind == "kl" else r
            for r in own
        ]
        copies += own
    kept = MemoryKept(lab.files)
    lines = [x for x in PHASE.summarize(copies, kept).lines if "rank correlation" in x]
    assert len(lines) == 2 and all("over 4 models" in x and "+1.00" in x for x in lines)
    rho = spearman([0, 1, 2, 3], [0, 1, 4, 9], 0)
    assert f"[{rho.low:+.2f}, {rho.high:+.2f}], p={rho.p:.3g}" in lines[0]
    three = [r for r in copies if r.target != "D"]
    assert not [x for x in PHASE.summarize(three, kept).lines if "rank correlation" in x]


def test_figures_are_those_named(rows: list[Row], lab: TinyLab) -> None:
    assert set(PHASE.draw(rows, MemoryKept(lab.files))) == {"aqi_vs_lambda", "per_axiom_curves"}
