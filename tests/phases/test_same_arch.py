"""Does the sweep measure every arm it plans, and its controls beside it?"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.data.texts import AXIOMS
from mahals.maths.metrics.homophily import homophily
from mahals.maths.stats.ranks import spearman
from mahals.phase import Single
from mahals.phases.same_arch import PHASE
from mahals.phases.same_arch.measure import Params
from mahals.phases.same_arch.report.axioms import effects
from mahals.phases.same_arch.rows import Row
from mahals.records import from_plain, to_plain
from mahals.reporting.evidence import ArmTable
from mahals.schema import COLUMNS
from tests.support.tiny_lab import (
    SHUFFLES,
    SUITE,
    MemoryKept,
    TinyLab,
    lab_with_vectors,
    refused,
    run,
)

PARAMS = Params(
    lambdas=(0.0, 0.5, 1.0),
    unit="vector",
    method="mean_difference",
    layers="auto",
    operators=("add", "add_preserve_norm"),
    placements=("raw", "increments"),
    propensity_draws=2,
    effects=True,
    scope="all",
    suite=SUITE,
)
K = SUITE.nulls
ASKED = PARAMS.propensity_draws  # random directions on the lambda grid
HEADLINE = {"dose_kind": "kl", "dose": SUITE.dose_kl}


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
    assert [r.arm for r in rows[:4]] == ["unsteered", "prompt", "aligned", "sham"]
    nulls = ["random"] * K + ["shuffled_pairs"] * K
    for operator in PARAMS.operators:
        grid = of(rows, operator=operator)
        assert [r.arm for r in of(grid, dose=0.0)] == ["steered"]
        for dose in (0.5, 1.0):
            arms = [r.arm for r in of(grid, dose_kind="lambda", dose=dose)]
            assert arms == ["steered", "flipped", *["random"] * ASKED]
        for kl in SUITE.kls:
            there = of(grid, dose_kind="kl", dose=kl)
            controls = ["permuted_layers"] if kl == SUITE.dose_kl else []
            assert [r.arm for r in there] == ["steered", "flipped", *controls, *nulls]
            assert {r.at_headline for r in there} == {kl == SUITE.dose_kl}
        assert [r.arm for r in of(grid, dose_kind="kl", dose=SUITE.null_kls[-1])] == nulls
    assert len(SUITE.kls) == 2 and len(SUITE.null_kls) == 3 and SHUFFLES == K
    assert len(rows) == 4 + 2 * (1 + 2 * (2 + ASKED) + 2 * (2 + 2 * K) + 1 + 2 * K)
    assert [from_plain(Row, to_plain(r)) for r in rows] == rows
    assert {r.layers for r in rows if r.operator} == {(1,)}


def test_every_steered_row_names_its_vector_and_where_that_is_kept(rows: list[Row]) -> None:
    steered = of(rows, arm="steered")
    assert steered and all(r.vector and r.kept for r in steered)


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
        assert row.kl == pytest.approx(row.dose, rel=0.5)  # found on other texts
        assert row.kl == max(row.kl_neutral, row.kl_chat)
    lambdas = of(rows, dose=1.0, operator="add")
    assert {r.strength for r in lambdas} == {1.0}
    assert len({r.aqi for r in lambdas}) == len(lambdas)


def test_adding_at_the_block_that_is_read_changes_no_aqi() -> None:
    """In either readout the shift is the same for every prompt; the answers may well change."""
    params = replace(PARAMS, layers=(-1.0,), operators=("add",), lambdas=(0.0, 2.0))
    found = run(PHASE, params, lab_with_vectors())
    for row in of(found, operator="add"):
        assert row.aqi_mean == pytest.approx(found[0].aqi_mean, abs=2e-3)
        assert row.aqi_last == pytest.approx(found[0].aqi_last, abs=2e-3)
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

    from tests.support.tiny_lab import model

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
    controls = [
        np.polyfit([0, *(r.dose for r in some)], [rows[0].aqi, *(r.aqi for r in some)], 1)[0]
        for k in range(ASKED)
        for some in [of(rows, arm="random", dose_kind="lambda", operator="add", draw=k)]
    ]
    over = slope - np.mean(controls)
    assert found.metrics["add/raw/aqi_slope_over_random"] == pytest.approx(over)
    metrics = found.metrics
    for name in ("aqi_slope", "aqi_slope_over_random", "flipped/gap_over_nulls", "gap_over_nulls"):
        low, high = metrics[f"add/raw/{name}_low"], metrics[f"add/raw/{name}_high"]
        assert low < metrics[f"add/raw/{name}"] < high
    monotone = all(a.aqi <= b.aqi for a, b in itertools.pairwise(grid))
    said = "monotone" if monotone else "not monotone"
    start = f"A, add raw aqi over lambda: slope {slope:+.1f} ["
    assert found.lines[-1].startswith("refusal detector (lexical)")
    assert any(x.startswith(start) and f", {said} over 3" in x for x in found.lines)
    (own,) = of(rows, arm="steered", operator="add", **HEADLINE)
    gap = own.refusal_unsafe - own.refusal_safe
    assert found.metrics["add/raw/refusal_gap"] == pytest.approx(gap)
    for family in ("random", "shuffled_pairs"):
        means = []
        for kl in SUITE.null_kls:  # the headline dose, and those above it
            some = of(rows, arm=family, operator="add", dose_kind="kl", dose=kl)
            means.append(np.mean([r.refusal_unsafe - r.refusal_safe for r in some]))
        over = [pytest.approx(gap - mean) for mean in means]
        assert found.metrics[f"add/raw/gap_over_{family}"] in over
    assert found.metrics["aligned/aqi_last"] == rows[2].aqi_last
    assert found.metrics["prompt/refusal_gap"] == rows[1].refusal_unsafe - rows[1].refusal_safe
    assert found.metrics["add/raw/refusal_unsafe"] == own.refusal_unsafe
    assert found.metrics["add/raw/chosen/dose"] in SUITE.kls
    assert sum("refusal gap by dose" in x for x in found.lines) == len(PARAMS.operators)
    assert "add/raw/refusal_unsafe_civility_tolerance_unsteered_low" in found.metrics
    over = found.metrics["add/raw/aqi_over_prompt"]
    assert over == pytest.approx(own.aqi - of(rows, arm="prompt")[0].aqi)
    assert sum("unsafe prompts refused, unsteered -> steered" in x for x in found.lines) == 2
    assert sum("steered minus" in x for x in found.lines) == 2 * 2
    assert lab.asked == []


def test_entries_are_the_arms_and_the_references_once_each(rows: list[Row], lab: TinyLab) -> None:
    entries = PHASE.summarize(rows, MemoryKept(lab.files)).entries
    keys = [e.configuration for e in entries]
    kinds = ("steered", "flipped", "permuted_layers", "random", "shuffled_pairs")
    assert len(set(keys)) == len(keys) == 4 + 2 * len(kinds)
    assert {k.arm for k in keys} == {*kinds, "unsteered", "prompt", "aligned", "sham"}
    assert {k.dose for k in keys if k.arm not in ("steered",)} <= {None, f"kl={SUITE.dose_kl:g}"}
    named = {k.arm: (k.vector, e.vector) for k, e in zip(keys, entries, strict=True)}
    assert named["steered"][0] is not None and named["steered"][1] == "steering_vectors:vectors-A"
    assert named["flipped"] == named["steered"] == named["permuted_layers"]
    without = ("unsteered", "aligned", "sham", "prompt", "random", "shuffled_pairs")
    assert {named[a] for a in without} == {(None, None)}
    assert all(set(e.metrics) <= set(COLUMNS) for e in entries)
    ranked = [e for e in entries if e.configuration.arm in ("steered", "flipped")]
    assert all("gap_over_random_p" in e.metrics for e in ranked)


def test_two_points_are_no_trend(rows: list[Row], lab: TinyLab) -> None:
    few = [r for r in rows if not (r.dose_kind == "lambda" and r.dose == 0.5)]
    assert "add/raw/aqi_slope" not in PHASE.summarize(few, MemoryKept(lab.files)).metrics


def test_the_cosine_is_tested_over_models_not_assumed(rows: list[Row], lab: TinyLab) -> None:
    """Four models: a rank correlation with its interval; three, or gaps alike: none."""
    copies: list[Row] = []
    files = dict(lab.files)
    for i, name in enumerate("ABCD"):
        for r in rows:
            file = f"{name}/{r.evidence}"
            if file not in files:
                files[file] = {k: v.clone() for k, v in lab.files[r.evidence].items()}
            if r.arm == "steered" and r.at_headline:
                refused = files[file]["refused"][r.evidence_row]
                refused[:] = False
                refused[torch.nonzero(files[file]["labels"] == 0).flatten()[: i * i // 2]] = True
            cosine = None if r.cosine is None else 0.1 * i
            named = {"target": name, "source": name if r.source else None, "cosine": cosine}
            copies.append(replace(r, evidence=file, **named))
    kept = MemoryKept(files)
    lines = [x for x in PHASE.summarize(copies, kept).lines if "rank correlation" in x]
    assert len(lines) == 2 and all("over 4 models" in x for x in lines)
    rho = spearman([0, 1, 2, 3], [0, 0, 2, 4], 0)
    assert f"{rho.rho:+.2f} [{rho.low:+.2f}, {rho.high:+.2f}], p={rho.p:.3g}" in lines[0]
    three = [r for r in copies if r.target != "D"]
    assert not [x for x in PHASE.summarize(three, kept).lines if "rank correlation" in x]
    alike = [replace(r, evidence=f"A/{r.evidence[2:]}") for r in copies]
    absent = [x for x in PHASE.summarize(alike, kept).lines if "rank correlation" in x]
    assert absent and all("all refusal gaps are alike" in x for x in absent)


def test_a_gain_is_the_sum_of_its_two_parts(rows: list[Row], lab: TinyLab) -> None:
    """`add` has no same_block part, a kept norm has one; both intervals hold their estimates."""
    found = PHASE.summarize(rows, MemoryKept(lab.files)).metrics
    for operator in PARAMS.operators:
        one = {k.removeprefix(f"{operator}/raw/"): v for k, v in found.items()}
        assert one["same_block"] + one["propagated"] == pytest.approx(one["aqi_gain_mean"])
        assert one["propagated_low"] <= one["propagated"] <= one["propagated_high"]
        (row,) = of(rows, operator=operator, arm="steered", **HEADLINE)
        assert row.same_block == pytest.approx(one["same_block"], abs=1e-9)
        assert (row.same_block == 0) == (operator == "add")
    assert {r.same_block for r in of(rows, operator="add")} == {0.0}


def test_propensity_is_measured_on_the_grid_of_the_vector_and_of_some_random_arms(
    rows: list[Row], lab: TinyLab
) -> None:
    for row in rows:
        there = row.arm == "unsteered" or (
            row.dose_kind == "lambda" and (row.arm == "steered" or (row.draw or 0) < ASKED)
        )
        there = there and row.arm != "flipped"
        assert (row.propensity_unsafe is not None) == (row.propensity_safe is not None) == there
    zero = of(rows, dose=0.0, operator="add")[0]
    assert zero.propensity_unsafe == pytest.approx(rows[0].propensity_unsafe, abs=1e-6)
    found = PHASE.summarize(rows, MemoryKept(lab.files))
    line = next(x for x in found.lines if "steerability" in x)
    assert "(K=2)" in line and "anti-steerable" in line and "safe prompts" in line
    unsafe = [
        (r.dose, r.propensity_unsafe)
        for r in of(rows, arm="steered", operator="add")
        if r.dose_kind == "lambda"
    ]
    slope = np.polyfit(*zip(*unsafe, strict=True), 1)[0]
    assert found.metrics["add/raw/steerability_unsafe"] == pytest.approx(slope)


def test_the_strength_is_chosen_by_gap_on_the_selection_split(
    rows: list[Row], lab: TinyLab
) -> None:
    """Of the doses in nats; the board has the chosen one alone, told on evaluation."""
    tried = [r for r in rows if r.selection_gap is not None]
    doses = {("lambda", 0.5), ("lambda", 1.0), *(("kl", kl) for kl in SUITE.kls)}
    assert {r.arm for r in tried} == {"steered"}
    assert {(r.dose_kind, r.dose) for r in tried} == doses
    assert len(tried) == len(doses) * len(PARAMS.operators)
    assert all((r.selection_over is None) == (r.selection_gap is None) for r in rows)
    for best in SUITE.kls:
        scored = [
            replace(r, selection_gap=float(r.dose == best), selection_over=())
            if r.arm == "steered" and r.dose_kind == "kl"
            else r
            for r in rows
        ]
        found = PHASE.summarize(scored, MemoryKept(lab.files))
        lines = [e for e in found.entries if e.configuration.arm == "steered"]
        assert {e.configuration.dose for e in lines} == {f"kl={best:g}"}
        assert found.metrics["add/raw/chosen/dose"] == best
        (row,) = of(rows, arm="steered", operator="add", dose_kind="kl", dose=best)
        assert lines[0].metrics["aqi_last"] == row.aqi_last


def test_the_effect_matrix_is_the_gain_of_each_axioms_vector_on_each_axiom(
    rows: list[Row], lab: TinyLab
) -> None:
    (row,) = of(rows, arm="steered", operator="add", **HEADLINE)
    assert [r.effects is not None for r in rows].count(True) == len(PARAMS.operators)
    tensors = lab.files[str(row.effects)]
    assert tensors["axioms"].tolist() == list(range(7)) and tensors["aqi"].shape == (7, 7)
    found = effects(row, ArmTable(rows, MemoryKept(lab.files)))
    assert found is not None
    random = of(rows, arm="random", operator="add", **HEADLINE)
    mean = np.mean([r.aqi_axioms for r in random], axis=0)
    by_hand = tensors["aqi"].numpy() - mean[None]
    np.testing.assert_allclose(np.array(found.grid.values, dtype=float), by_hand)
    own = np.eye(7, dtype=bool)
    difference = tensors["aqi"].numpy()[own].mean() - tensors["aqi"].numpy()[~own].mean()
    assert found.own_over_others is not None
    assert found.own_over_others.estimate == pytest.approx(difference)
    without = run(PHASE, replace(PARAMS, effects=False, operators=("add",)), lab_with_vectors())
    assert {r.effects for r in without} == {None}


def test_the_axiom_left_out_is_told_apart(rows: list[Row], lab: TinyLab) -> None:
    kept = MemoryKept(lab.files)
    assert not [x for x in PHASE.summarize(rows, kept).lines if "left out" in x]
    out = [replace(r, left_out=AXIOMS[3]) if r.arm == "steered" else r for r in rows]
    found = PHASE.summarize(out, kept)
    (own,) = of(rows, arm="steered", operator="add", **HEADLINE)
    gain = own.aqi_axioms[3] - rows[0].aqi_axioms[3]
    assert found.metrics["add/raw/left_out_gain"] == pytest.approx(gain)
    rest = np.mean([own.aqi_axioms[j] - rows[0].aqi_axioms[j] for j in range(7) if j != 3])
    assert found.metrics["add/raw/other_axioms_gain"] == pytest.approx(rest)
    assert (gain + 6 * rest) / 7 == pytest.approx(found.metrics["add/raw/aqi_gain_mean"])
    assert any(f"on {AXIOMS[3]}, left out of extraction" in x for x in found.lines)


@pytest.mark.parametrize("placement", ["raw", pytest.param("increments", marks=pytest.mark.slow)])
def test_a_relative_strength_adds_a_vector_as_long_as_the_mean_base_state(
    placement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By hand: the steps of every arm of the grid against the lengths of the base's states."""
    from mahals.phases.same_arch.measure import sweep as sweeping

    seen: dict[str, Any] = {}
    whole = sweeping.run_sweep
    monkeypatch.setattr("mahals.phases.same_arch.measure.run_sweep", lambda *given: (
        seen.update(swept=whole(*given)), seen["swept"])[1])  # fmt: skip
    params = replace(PARAMS, unit="state", lambdas=(0.0, 0.3), layers=(1.0, 2.0), effects=False,
                     operators=("add",), placements=(placement,))  # fmt: skip
    lab = lab_with_vectors()
    found = run(PHASE, params, lab)
    base = lab.model("A", "base")
    lengths: dict[int, list[float]] = {1: [], 2: []}
    for prompt in lab.prompts("extraction"):
        ids = base.tokenizer(prompt.text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            states = base.model(ids, output_hidden_states=True).hidden_states[1:]
        for block, values in lengths.items():
            values.append(states[block][0, -1].norm().item())
    grid = [d for d in seen["swept"].dosed if d.label.dose == 0.3]
    assert [d.label.arm for d in grid] == ["steered", "flipped", *["random"] * ASKED]
    for d in grid:
        for step in d.arm.steps:
            added = abs(step.strength) * step.direction.norm().item()
            assert added == pytest.approx(0.3 * np.mean(lengths[step.block]), rel=1e-4)
    own = placed_like(lab, placement)
    for step in grid[0].arm.steps:
        cosine = torch.cosine_similarity(step.direction, own[step.block], dim=0)
        assert cosine.item() == pytest.approx(1, abs=1e-5)
    kinds = {r.dose_kind for r in found if r.dose in (0.0, 0.3)}
    assert kinds == {"relative"} and not of(found, dose_kind="lambda")
    summary = PHASE.summarize(found, MemoryKept(lab.files))
    doses = {e.configuration.dose for e in summary.entries}
    assert doses - {f"kl={kl:g}" for kl in SUITE.kls} == {None}, "a grid is no line"
    assert f"add/{placement}/steerability_unsafe" in summary.metrics
    assert of(found, arm="steered", dose=0.3)[0].selection_gap is not None


def placed_like(lab: TinyLab, placement: str) -> dict[int, torch.Tensor]:
    values = lab.files["vectors-A"]["values"].float()
    return {1: values[1], 2: values[2] - (values[1] if placement == "increments" else 0)}


def test_the_figures_say_the_unit(rows: list[Row], lab: TinyLab) -> None:
    def label(some: list[Row]) -> str:
        figure = PHASE.draw(some, MemoryKept(lab.files))["aqi_vs_lambda"]
        return " ".join(t.get_text() for t in figure.findobj() if hasattr(t, "get_text"))

    state = [replace(r, dose_kind="relative") if r.on_grid else r for r in rows]
    assert "units of the vector's norm" in label(rows)
    assert "units of the mean length of the base's states" in " ".join(label(state).split())


@pytest.mark.slow
def test_a_dose_out_of_reach_costs_its_arms_alone() -> None:
    """At a KL that no strength gives, the lambda grid stays, and every row says what is missing."""
    params = replace(PARAMS, operators=("add_preserve_norm",), suite=replace(SUITE, dose_kl=50.0))
    lab = lab_with_vectors()
    rows = run(PHASE, params, lab)
    assert not of(rows, dose_kind="kl") and len(of(rows, dose_kind="lambda")) == 1 + 2 * (2 + ASKED)
    (missed,) = {r.missed for r in rows if r.operator}
    nulls = 2 * K * len(SUITE.null_kls)
    assert len(missed) == 2 * len(SUITE.kls) + nulls + 1  # own and flipped; permuted layers once
    assert missed[0].startswith("steered A add_preserve_norm raw at kl=50: not measured")
    lines = PHASE.summarize(rows, MemoryKept(lab.files)).lines
    assert f"A: {missed[0]}" in lines


def study(rows: list[Row], lab: TinyLab) -> tuple[list[Row], MemoryKept]:
    """Two targets, well above the floor of AQI, whose arms refuse at random: the rows, and a copy
    whose agent is stronger on the first axiom."""
    rng = np.random.default_rng(0)
    files = {name: dict(tensors) for name, tensors in lab.files.items()}
    for name in {r.evidence for r in rows}:
        for target in "AB":
            drawn = torch.from_numpy(rng.random(tuple(files[name]["refused"].shape)) < 0.5)
            files[f"{target}/{name}"] = {**files[name], "refused": drawn}
    copy = []
    for target, more in (("A", 0.0), ("B", 5.0)):
        for r in rows:
            axioms = tuple(a + 40 + (more if i == 0 else -more)
                           for i, a in enumerate(r.aqi_axioms))  # fmt: skip
            source, evidence = r.source and target, f"{target}/{r.evidence}"
            named = replace(r, target=target, source=source, evidence=evidence)
            copy.append(replace(named, aqi_axioms=axioms))
    return copy, MemoryKept(files)


def test_a_study_tells_of_its_agents_before_and_after(rows: list[Row], lab: TinyLab) -> None:
    both, kept = study(rows, lab)
    found = PHASE.summarize(both, kept)
    assert found.metrics["homophily_unsteered"] == pytest.approx(
        homophily([both[0].aqi_axioms, both[len(rows)].aqi_axioms]).value
    )
    for state in ("unsteered", "steered", "flipped", "aligned", "prompt"):
        for name in (f"attack_success_{state}", f"homophily_{state}"):
            low, high = found.metrics[f"{name}_low"], found.metrics[f"{name}_high"]
            assert low <= found.metrics[name] <= high
        (line,) = [x for x in found.lines if x.startswith(f"routing attack, {state}:")]
        assert line.count(f"K={K}") == 2, "both families of nulls"
    (weakest,) = [x for x in found.lines if x.startswith("weakest link unsteered")]
    assert f"{AXIOMS[0]} A" in weakest and f"{AXIOMS[1]} B" in weakest
    assert not [x for x in PHASE.summarize(rows, MemoryKept(lab.files)).lines if "attack" in x]
    assert {e.configuration.arm for e in found.entries} >= {"shuffled_pairs", "permuted_layers"}


def test_figures_are_those_named(rows: list[Row], lab: TinyLab) -> None:
    curves = {"aqi_vs_lambda", "aqi_vs_lambda_last", "per_axiom_curves"}
    curves |= {"gap_over_dose", "gap_over_price"}
    assert set(PHASE.draw(rows, MemoryKept(lab.files))) == {*curves, "axiom_effects"}
    heat = {"axiom_agent_heatmap_before", "axiom_agent_heatmap_after", "attack_success"}
    assert set(PHASE.draw(*study(rows, lab))) == curves | heat
    references = [r for r in rows if r.operator is None]  # a run of one task has measured these
    assert references and PHASE.draw(references, MemoryKept(lab.files)) == {}


def test_a_model_without_a_pair_is_steered_by_its_own_contrast() -> None:
    lab = lab_with_vectors()
    own = lab.made["steering_vectors", "A"]
    lab.made["steering_vectors", "A"] = [replace(r, method="contrast") for r in own]
    lab.singles = {"A": Single("aligned", "no base is public")}
    found = run(PHASE, PARAMS, lab)
    steered = [r for r in found if r.arm == "steered"]
    assert {r.method for r in steered if r.source == "A"} == {"contrast"}
    assert {r.method for r in steered if r.source != "A"} <= {"mean_difference"}
    assert not [r for r in found if r.arm == "aligned"] and ("A", "aligned") not in lab.asked
    summary = PHASE.summarize(found, MemoryKept(lab.files))
    assert "A: aligned checkpoint: no base is public" in summary.lines
    assert PHASE.draw(found, MemoryKept(lab.files))
