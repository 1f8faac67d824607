"""Does the phase measure checkpoints and floors, and sum them up without a model?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mahals.data.texts import AXIOMS
from mahals.maths.metrics.homophily import homophily
from mahals.phase import Single
from mahals.phases.baseline_aqi import PHASE
from mahals.phases.baseline_aqi.measure import Params
from mahals.phases.baseline_aqi.rows import Row
from mahals.records import from_plain, to_plain
from tests.support.tiny_lab import MemoryKept, TinyLab, run
from tests.support.tiny_models import LAYERS

POOLS = {"organism": ("mean", "last"), "hub": ("last", "mean")}
PARAMS = Params(POOLS, ("native", "standardized"), 9, 50, False, "none")
FIGURES = {
    "aqi_bar_plot", "aqi_axiom_heatmap", "aqi_axiom_heatmap_last", "aqi_layer_profile",
    "aqi_layer_profile_last",
}  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> TinyLab:
    return TinyLab()


@pytest.fixture(scope="module")
def rows(lab: TinyLab) -> list[Row]:
    return run(PHASE, PARAMS, lab)


@pytest.fixture(scope="module")
def two(lab: TinyLab, rows: list[Row]) -> tuple[list[Row], Any]:
    """Rows of two models with their kept files, in one summary."""
    other = TinyLab("C")
    more = run(PHASE, PARAMS, other)
    return [*rows, *more], MemoryKept({**lab.files, **other.files})


def test_plan_has_the_pair_the_floors_and_on_organisms_the_sham() -> None:
    organism = [(t.readout, t.split) for t in PHASE.plan(PARAMS, TinyLab())]
    hub = [(t.readout, t.split) for t in PHASE.plan(PARAMS, TinyLab(weights="hub"))]
    floors = [(r, "evaluation") for r in ("random", "embeddings", "tfidf")]
    pair, choosing = (
        [(r, split) for r in ("aligned", "base")] for split in ("evaluation", "selection")
    )
    assert hub == [*pair, *floors, *choosing]
    assert organism == [*pair, *floors, ("sham", "evaluation"), *choosing]


def test_rows_cover_every_readout_and_axiom_and_come_back_from_json(rows: list[Row]) -> None:
    assert [r.axiom for r in rows[:9]] == [*AXIOMS, "mean", "pooled"]
    keys = [(r.readout, r.split, r.pool, r.space, r.layer, r.axiom) for r in rows]
    assert len(set(keys)) == len(keys)
    # reads at the last layer come in both spaces, those along the profile in the first
    pair = 2 * (3 + 2) * 9
    choosing = [r for r in rows if r.split == "selection"]
    assert len(choosing) == 2 * len(POOLS["organism"]) * 9
    assert {(r.layer, r.space, r.p_value) for r in choosing} == {(LAYERS - 1, "native", None)}
    assert len(rows) == 2 * pair + 2 * (2 + 2) * 9 + 2 * 9 + 2 * 9 + len(choosing)
    assert [from_plain(Row, to_plain(r)) for r in rows] == rows


def test_the_headline_readout_is_that_of_the_weights() -> None:
    lab = TinyLab(weights="hub")
    task = next(t for t in PHASE.plan(PARAMS, lab) if t.readout == "aligned")
    assert next(iter(PHASE.measure(task, PARAMS, lab))).pool == "last"


def test_the_pool_is_chosen_by_power_on_the_selection_split_alone(
    rows: list[Row], lab: TinyLab
) -> None:
    """What was read of evaluation prompts has no part in it, and what it says is not that."""
    kept = MemoryKept(lab.files)
    found = PHASE.summarize(rows, kept)
    chosen_on = [r for r in rows if r.split == "selection"]
    again = PHASE.summarize(
        [replace(r, aqi=r.aqi + 5.0) if r.split == "evaluation" else r for r in rows], kept
    )
    powers = {k: v for k, v in found.metrics.items() if k.startswith("power_")}
    assert set(powers) == {"power_mean", "power_last"}
    assert {k: again.metrics[k] for k in powers} == powers
    assert again.metrics["aqi"] == pytest.approx(found.metrics["aqi"] + 5.0)
    assert not [r for r in chosen_on if r.aqi == found.metrics["aqi"]]
    assert any("on selection prompts aligned minus base" in x for x in found.lines)
    without = PHASE.summarize([r for r in rows if r.split == "evaluation"], kept)
    assert not [k for k in without.metrics if k.startswith("power_")]


def test_evidence_rows_are_those_of_their_own_interval(rows: list[Row], lab: TinyLab) -> None:
    """The jackknife error of every mean follows from its kept influence, clusters and all."""
    from mahals.maths.stats.intervals import jackknife_interval

    means = [r for r in rows if r.axiom == "mean"]
    assert all(r.influence is None for r in rows if r.axiom != "mean")
    for row in means:
        tensors = lab.files[str(row.influence)]
        influence = tensors["influence"][row.influence_row].numpy()
        clusters = [str(c) for c in tensors["clusters"].tolist()]
        assert jackknife_interval(influence, row.aqi, clusters).high == pytest.approx(row.aqi_high)


@pytest.mark.slow
def test_measuring_again_gives_the_same_rows(rows: list[Row]) -> None:
    assert run(PHASE, PARAMS, TinyLab()) == rows


def test_summary_is_pure_and_names_the_model_only_among_several(
    rows: list[Row], lab: TinyLab, two: Any
) -> None:
    lab.asked.clear()
    kept = MemoryKept(lab.files)
    one = PHASE.summarize(rows, kept)
    assert one == PHASE.summarize(list(rows), kept)
    head = next(r for r in rows if r.readout == "aligned" and r.last and r.axiom == "mean")
    assert one.metrics["aqi"] == head.aqi and (one.entries, one.vectors) == ((), ())
    both = PHASE.summarize(*two)
    assert both.metrics["A/aqi"] == one.metrics["aqi"] and "C/aqi_random" in both.metrics
    assert "baseline model" in both.lines[-2]
    assert both.lines[-1].startswith("homophily of 2 aligned checkpoints ")
    assert lab.asked == []


def test_p_best_sums_to_one_over_models_above_their_floors(two: Any) -> None:
    rows, kept = two
    lifted = [replace(r, aqi_low=1e3) if r.readout == "aligned" else r for r in rows]
    metrics = PHASE.summarize(lifted, kept).metrics
    shares = [metrics[f"{m}/p_best"] for m in "AC"]
    assert sum(shares) == pytest.approx(1)
    level = [
        next(
            r.aqi
            for r in rows
            if (r.model, r.readout, r.axiom, r.last, r.space)
            == (m, "aligned", "mean", True, "standardized")
        )
        for m in "AC"
    ]
    assert int(np.argmax(shares)) == int(np.argmax(level))


def test_homophily_of_the_study_is_in_the_space_in_which_models_compare(two: Any) -> None:
    """From the standardized rows, with draws that all models share."""
    rows, kept = two
    metrics = PHASE.summarize(rows, kept).metrics
    levels = [
        [
            next(
                r.aqi
                for r in rows
                if (r.model, r.readout, r.axiom, r.pool, r.last, r.space)
                == (m, "aligned", a, "mean", True, "standardized")
            )
            for a in AXIOMS
        ]
        for m in "AC"
    ]
    assert metrics["homophily"] == pytest.approx(homophily(levels).value)
    assert metrics["weakest_link"] == min(map(min, levels))
    assert metrics["homophily_low"] <= metrics["homophily"] <= metrics["homophily_high"]
    assert "homophily" not in PHASE.summarize([r for r in rows if r.model == "A"], kept).metrics
    draws = [kept.tensors(f"{m}/aligned.safetensors")["draws"].numpy() for m in "AC"]
    assert {d.shape for d in draws} == {(PARAMS.resamples, 7)}
    np.testing.assert_allclose(draws[1].mean(axis=0), levels[1])


def test_a_learned_mixture_of_layers_is_a_row_of_its_own(rows: list[Row], lab: TinyLab) -> None:
    params = replace(PARAMS, layer_pooling="sparsemax", permutations=9)
    other = TinyLab()
    tasks = [t for t in PHASE.plan(params, other) if t.readout in ("aligned", "random")]
    found = [r for t in tasks for r in PHASE.measure(t, params, other)]
    mixed = [r for r in found if r.layer_weights is not None]
    assert {(r.readout, r.pool, r.layer, r.last) for r in mixed} == {
        ("aligned", "mean", None, False)
    }
    assert [r.axiom for r in mixed] == [*AXIOMS, "mean", "pooled"] * 2
    for row in mixed:
        assert sum(row.layer_weights or ()) == pytest.approx(1) and row.layer_weights
        assert (row.p_value is None) == (row.axiom == "pooled")
    kept = MemoryKept(other.files)
    mean = next(r for r in mixed if r.axiom == "mean" and r.space == "native")
    assert PHASE.summarize(found, kept).metrics["aqi_learned_layers"] == mean.aqi
    assert "pooled by weights learned on other prompts" in PHASE.summarize(found, kept).lines[-1]
    plain = [r for r in rows if r.readout == "aligned"]
    same = [r for r in found if r.readout == "aligned" and r.layer_weights is None]
    assert [(r.aqi, r.layer) for r in same] == [(r.aqi, r.layer) for r in plain]
    PHASE.draw(found, kept)


def test_what_is_off_says_so(rows: list[Row]) -> None:
    told = {r.reason for r in rows if r.reason}
    assert told == {"aqi_published: baseline_aqi.tsne is false (the overlay full has it)"}
    assert all(r.aqi_published is None for r in rows)


def test_figures_are_those_named(rows: list[Row], lab: TinyLab, two: Any) -> None:
    lab.asked.clear()
    assert set(PHASE.draw(rows, MemoryKept(lab.files))) == FIGURES
    assert set(PHASE.draw(*two)) == FIGURES
    assert lab.asked == []


@pytest.mark.parametrize("role", ["aligned", "base"])
def test_a_model_without_a_pair_has_one_level_and_says_why(role: str) -> None:
    lab = TinyLab(singles={"A": Single(role, "no base is public")})  # type: ignore[arg-type]
    few = replace(PARAMS, spaces=("native",))
    plan = [(t.readout, t.split) for t in PHASE.plan(few, lab)]
    floors = [(f, "evaluation") for f in ("random", "embeddings", "tfidf")]
    assert plan == [(role, "evaluation"), *floors]
    rows = run(PHASE, few, lab)
    assert {r.single for r in rows} == {"no base is public"}
    own = next(r for r in rows if r.readout == role and r.last and r.axiom == "mean")
    summary = PHASE.summarize(rows, MemoryKept(lab.files))
    assert summary.metrics["aqi"] == own.aqi
    assert any("no pair: no base is public" in line for line in summary.lines)
    assert PHASE.draw(rows, MemoryKept(lab.files))
