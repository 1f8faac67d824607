"""Does a vector reach the target by the map it names, beside the target's own and its controls?"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.evaluation import families
from mahals.evaluation.transfer import arms as transfer_arms
from mahals.maths.stats.intervals import Interval
from mahals.maths.transfer.layers import match_layer
from mahals.phase import Single
from mahals.phases.cross_arch import PHASE
from mahals.phases.cross_arch import measure as cross_arch
from mahals.phases.cross_arch.measure import CONTROLS
from mahals.phases.cross_arch.rows import Row
from mahals.records import from_plain, to_plain
from mahals.reporting.gains import Efficiency
from mahals.schema import COLUMNS, Entry
from tests.support.crossed import PARAMS, of
from tests.support.tiny_lab import (
    NOUNS,
    SUITE,
    MemoryKept,
    TinyLab,
    lab_with_vectors,
    refused,
    run,
)


@pytest.fixture(scope="module")
def lab() -> TinyLab:
    return lab_with_vectors()


@pytest.fixture(scope="module")
def rows(lab: TinyLab) -> list[Row]:
    return run(PHASE, PARAMS, lab)


def test_plan_is_the_controls_once_and_every_other_model() -> None:
    def tasks(**changes: Any) -> list[tuple[str, str]]:
        return [(t.source, t.role) for t in PHASE.plan(replace(PARAMS, **changes), TinyLab())]

    base = [(CONTROLS, "base"), ("B", "base"), ("C", "base")]
    assert tasks() == base
    assert tasks(source="C") == [base[0], base[2]]
    assert tasks(source="A") == [base[0]], "its own vector is a control already"
    random = [(source, "random") for source, _ in base]
    assert tasks(controls=("random_target",)) == base + random
    assert tasks(controls=("random_target",), source="A") == [base[0]]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"maps": ("ridge", "ridge")}, "each once"),
        ({"controls": ("unrelated", "unrelated")}, "each once"),
        ({"maps": ("pad",), "controls": ("shuffled_all",)}, "pad is the same with or without"),
        ({"maps": ("identity",), "controls": ("unrelated",)}, "a map other than identity"),
    ],
)
def test_routes_that_cannot_be_taken_are_refused(changes: dict[str, Any], words: str) -> None:
    assert words in str(refused(lambda: PHASE.plan(replace(PARAMS, **changes), TinyLab())))
    assert PHASE.plan(replace(PARAMS, maps=("pad",), controls=()), TinyLab())


def test_every_steered_row_names_its_vector_and_where_that_is_kept(rows: list[Row]) -> None:
    steered = of(rows, arm="steered")
    assert steered and all(r.vector and r.kept for r in steered)


def test_a_target_has_its_references_own_vector_and_both_families_of_nulls_once(
    rows: list[Row],
) -> None:
    assert [r.arm for r in rows[:4]] == ["unsteered", "prompt", "aligned", "sham"]
    both = ["steered", "flipped"]
    assert [(r.arm, r.dose) for r in rows[4:9]] == [
        *((arm, kl) for kl in SUITE.kls for arm in both),
        ("steered", 0.0),
    ]
    nulls = ["random"] * SUITE.nulls + ["shuffled_pairs"] * SUITE.nulls
    assert [(r.arm, r.dose) for r in rows[9:27]] == [
        (a, kl) for kl in SUITE.null_kls for a in nulls
    ]
    assert (rows[4].source, rows[4].map) == ("A", None)
    assert rows[4].cosine_native == pytest.approx(1) and rows[5].cosine_native == pytest.approx(-1)
    for arm in ("unsteered", "prompt", "aligned", "sham"):
        assert len(of(rows, arm=arm)) == 1
    assert [r.at_headline for r in rows[4:9]] == [True, True, False, False, False]
    assert [from_plain(Row, to_plain(r)) for r in rows] == rows


def test_each_crossing_is_chosen_on_the_selection_split(rows: list[Row]) -> None:
    for row in rows:
        tried = row.arm == "steered" and row.strength != 0
        assert (row.selection_gap is not None) == (row.selection_over is not None) == tried


def test_identity_is_there_only_between_equal_widths(rows: list[Row]) -> None:
    maps = ["pad", "ridge", "procrustes"]
    for kl in SUITE.kls:
        there = of(rows, arm="steered", dose=kl)
        assert [r.map for r in of(there, source="B")] == ["identity", *maps]
        assert [r.map for r in of(there, source="C")] == maps


def test_shuffled_maps_are_a_family_of_the_target_that_its_sources_share(rows: list[Row]) -> None:
    """They take turns: in all as many as the other families have, at every dose and beyond."""
    for kl in SUITE.null_kls:
        shuffled = of(rows, arm="shuffled", dose=kl)
        drawn = [(r.source, r.map, r.shuffle, r.draw) for r in shuffled]
        assert drawn == [("B", "ridge", 0, 0), ("B", "ridge", 2, 2), ("C", "ridge", 1, 1)]
        assert len(shuffled) == SUITE.nulls
    assert {r.shuffle for r in rows if r.arm != "shuffled"} == {None}


@pytest.mark.slow
def test_every_fitted_map_has_its_shuffled_control_where_asked(lab: TinyLab) -> None:
    params = replace(PARAMS, source="B", controls=("shuffled_all",))
    rows = run(PHASE, params, lab)
    shuffled = [(r.map, r.draw) for r in of(rows, arm="shuffled", at_headline=True)]
    others = [("procrustes", k) for k in range(PARAMS.draws)]
    assert shuffled == [*(("ridge", k) for k in range(SUITE.nulls)), *others]
    found = PHASE.summarize(rows, MemoryKept(lab.files))
    lines = [e for e in found.entries if e.configuration.arm == "shuffled"]
    assert {e.configuration.map for e in lines} == {"ridge", "procrustes"} and len(lines) == 2


def test_strength_0_is_measured_once_and_is_the_unsteered_model(
    rows: list[Row], lab: TinyLab
) -> None:
    (zero,) = [r for r in rows if r.strength == 0]
    assert (zero.arm, zero.source, zero.map) == ("steered", "A", None)
    assert (zero.dose_kind, zero.dose, zero.kl, zero.aqi) == ("lambda", 0.0, 0.0, rows[0].aqi)
    kept = MemoryKept(lab.files)
    without = PHASE.summarize([r for r in rows if r is not zero], kept)
    assert PHASE.summarize(rows, kept) == without, "a check, and nothing else"


def test_hooks_that_do_not_act_are_an_error(lab: TinyLab, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cross_arch.cached_scores

    def idle(place: Any, at: Any, arms: Any, neutral: bool) -> Any:
        measured = found(place, at, arms, neutral)
        return [measured[0], measured[0], *measured[2:]]

    monkeypatch.setattr(cross_arch, "cached_scores", idle)
    with pytest.raises(RuntimeError, match="hooks did not act"):
        run(PHASE, replace(PARAMS, source="A", controls=()), lab_with_vectors())


def test_all_arms_cost_the_same_kl(rows: list[Row]) -> None:
    for row in [r for r in rows if r.dose_kind == "kl"]:
        assert row.kl == pytest.approx(row.dose, rel=0.5)  # found on other texts
    assert rows[0].kl == 0


def test_identity_moves_the_vector_itself(rows: list[Row], lab: TinyLab) -> None:
    """Its cosine to the native vector is that of the two models' own vectors."""
    mine, theirs = (lab.files[f"vectors-{k}"]["values"][1] for k in "AB")
    expected = torch.nn.functional.cosine_similarity(mine, theirs, dim=0).item()
    assert of(rows, map="identity")[0].cosine_native == pytest.approx(expected, abs=1e-5)
    padded = of(rows, map="pad", source="B")[0].cosine_native
    assert padded == pytest.approx(expected, abs=1e-5), "at equal width pad is the identity"


def test_the_source_block_is_the_one_of_equal_relative_depth(rows: list[Row]) -> None:
    """Block 1 of 4 against the 6 of C: pad cuts C's block to the target's width."""
    block = match_layer(1, 4, 6)
    assert block == 2
    found = lab_with_vectors()
    mine = found.files["vectors-A"]["values"][1]
    theirs = found.files["vectors-C"]["values"][block][: len(mine)]
    expected = torch.nn.functional.cosine_similarity(mine, theirs, dim=0).item()
    assert of(rows, map="pad", source="C")[0].cosine_native == pytest.approx(expected, abs=1e-5)


def test_maps_say_what_they_were_fitted_on(rows: list[Row]) -> None:
    texts = 84 + len(NOUNS) ** 2
    for row in rows:
        crossed = row.map is not None
        for cell in ("r2_held_out", "r2_linear", "map_fitted", "source_layers", "cka"):
            assert (getattr(row, cell) is not None) == crossed
        assert row.map_rows == (texts if crossed else None)
        if crossed:
            assert 0.8 * texts <= row.map_fitted < texts and row.r2_linear == row.r2_held_out
    assert max(r.r2_held_out for r in of(rows, arm="shuffled")) < 0.1


def test_maps_are_fitted_on_the_mapping_split_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the lab while blocks are paired, of which maps are fitted."""
    asked: list[tuple[str, str]] = []
    pair = transfer_arms.pair_blocks

    class Watched(TinyLab):
        def prompts(self, split: str) -> Any:
            asked.append(("prompts", split))
            return super().prompts(split)

        def neutral(self, split: str) -> Any:
            asked.append(("neutral", split))
            return super().neutral(split)

    seen: set[tuple[str, str]] = set()

    def paired(*given: Any) -> Any:
        asked.clear()
        found = pair(*given)
        seen.update(asked)
        return found

    monkeypatch.setattr(transfer_arms, "pair_blocks", paired)
    whole = lab_with_vectors()
    lab = Watched(files=whole.files, made=whole.made, data_digest="e" * 64)
    run(PHASE, replace(PARAMS, source="B", maps=("ridge",)), lab)
    assert seen == {("prompts", "mapping"), ("neutral", "mapping")}


def rotated(one: Any, q: torch.Tensor) -> Any:
    """The same function in another basis: its states are those of `one` times q (RMSNorm without
    weights lets a rotation through)."""
    made = copy.deepcopy(one.model)
    with torch.no_grad():
        read = [made.get_input_embeddings(), made.lm_head]
        for block in made.model.layers:
            attention, mlp = block.self_attn, block.mlp
            read += [attention.q_proj, attention.k_proj, attention.v_proj]
            read += [mlp.gate_proj, mlp.up_proj]
            for written in (attention.o_proj, mlp.down_proj):
                written.weight.copy_(q.T @ written.weight)
        for layer in read:
            layer.weight.copy_(layer.weight @ q)
    return replace(one, key="B", model=made, revision="B:rotated")


def test_a_planted_rotation_is_undone_by_the_maps_and_not_by_shuffled_ones() -> None:
    """B is A in another basis: its vector must come home as A's own."""
    generator = torch.Generator().manual_seed(3)
    lab = lab_with_vectors()
    one = lab.load("A", "base")
    q = torch.linalg.qr(torch.randn(one.width, one.width, generator=generator))[0]
    other = rotated(one, q)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        torch.testing.assert_close(
            other.model(ids).logits, one.model(ids).logits, atol=1e-3, rtol=0
        )
    lab.load = lambda key, role: one if key == "A" else other
    lab.files["vectors-B"] = {"values": lab.files["vectors-A"]["values"] @ q}
    found = run(PHASE, replace(PARAMS, source="B"), lab)
    by_map = {r.map: r for r in found if r.arm == "steered" and r.map}
    assert abs(by_map["identity"].cosine_native) < 0.6
    for kind in ("ridge", "procrustes"):
        assert by_map[kind].cosine_native > 0.9 and by_map[kind].r2_held_out > 0.5
    shuffled = [abs(r.cosine_native) for r in of(found, arm="shuffled")]
    assert max(shuffled) < 0.7


def is_crossed(entry: Entry) -> bool:
    return entry.configuration.arm == "steered" and entry.configuration.map is not None


def test_summary_is_pure_and_efficiency_is_absent_without_a_native_gain(
    rows: list[Row], lab: TinyLab
) -> None:
    lab.asked.clear()
    kept = MemoryKept(lab.files)
    found = PHASE.summarize(rows, kept)
    assert found == PHASE.summarize(list(rows), kept) and lab.asked == []
    assert found.metrics["A/native/gap_over_nulls_low"] < 0
    assert not [k for k in found.metrics if k.endswith("_efficiency")]
    assert all("transfer_efficiency" not in e.metrics for e in found.entries)
    reasons = {e.reasons["transfer_efficiency"] for e in found.entries if is_crossed(e)}
    assert "the native gain over random is not above 0" in reasons
    lifted = [
        replace(r, aqi=r.aqi + 500) if r.arm == "steered" and r.map in (None, "ridge") else r
        for r in rows
    ]
    shown = PHASE.summarize(lifted, kept)
    random = np.mean([r.aqi for r in of(rows, arm="random", at_headline=True)])
    headline = of(lifted, arm="steered", at_headline=True)
    (ridge,), (own,) = of(headline, map="ridge", source="B"), of(headline, source="A")
    expected = (ridge.aqi - random) / (own.aqi - random)
    assert shown.metrics["B/ridge/aqi_efficiency"] == pytest.approx(expected)
    assert all("transfer_efficiency" not in e.metrics for e in shown.entries), "of refusals alone"


def test_the_efficiency_of_a_crossing_by_refusals_is_on_the_board(
    rows: list[Row], lab: TinyLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each crossing its own, and of the own vector none."""
    seen: dict[str, float] = {}

    def share(moved: Any, native: Any, table: Any, of: str) -> Efficiency:
        assert (native.row.map, native.row.dose) == (None, moved.row.dose)
        value = 0.1 * (1 + ["identity", "pad", "ridge", "procrustes"].index(moved.row.map))
        value += 10.0 * (of == "aqi") + (moved.row.source == "C")
        seen[f"{moved.row.source} {moved.row.map} {of}"] = value
        return Efficiency(Interval(value, 0.0, 2.0, 0.1), None)

    monkeypatch.setattr("mahals.phases.cross_arch.report.transfer.transfer_efficiency", share)
    found = PHASE.summarize(rows, MemoryKept(lab.files))
    for e in found.entries:
        c = e.configuration
        assert ("transfer_efficiency" in e.metrics) == is_crossed(e)
        if is_crossed(e):
            assert e.metrics["transfer_efficiency"] == seen[f"{c.source} {c.map} gap"]
    assert found.metrics["B/ridge/aqi_efficiency"] == seen["B ridge aqi"]


def test_entries_are_once_each(rows: list[Row], lab: TinyLab) -> None:
    entries = PHASE.summarize(rows, MemoryKept(lab.files)).entries
    keys = [e.configuration for e in entries]
    # four references, own, flipped, three families of nulls; by map from B four, from C three
    assert len(set(keys)) == len(keys) == 4 + 2 + 3 + 4 + 3
    assert all(set(e.metrics) <= set(COLUMNS) for e in entries)
    (family,) = [e for e in entries if e.configuration.arm == "shuffled"]
    assert family.configuration.source is None, "it is the target's, whatever came through it"


FIGURES = (
    "gap_over_price",
    "transfer_matrix",
    "transfer_matrix_last",
    "refusal_matrix",
    "efficiency",
    "compatibility",
)


def test_figures_are_those_named(rows: list[Row], lab: TinyLab) -> None:
    found = PHASE.draw(rows, MemoryKept(lab.files))
    wanted = {f"{name}_{m}" for m in PARAMS.maps for name in FIGURES}
    assert set(found) == wanted, "no control was measured"
    alone = [r for r in rows if r.map is None]
    assert PHASE.draw(alone, MemoryKept(lab.files)) == {}


def test_no_cosine_is_called_better_than_another(rows: list[Row], lab: TinyLab) -> None:
    for name, figure in PHASE.draw(rows, MemoryKept(lab.files)).items():
        words = " ".join(a.get_ylabel() + a.get_xlabel() for a in figure.axes)
        drawn = figure.axes[0].get_images()
        absent = bool(drawn) and not drawn[0].get_array().count()  # every cell: no colour bar
        assert ("better" in words) == (not name.startswith("compatibility") and not absent), name


@pytest.mark.slow
def test_an_arm_out_of_reach_is_absent_with_its_reason(
    rows: list[Row], lab: TinyLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dose that no strength gives: the other arms stay, and the reason is said."""
    found = families.cached_doses

    def short(place: Any, at: Any, arms: Any, target: float) -> Any:
        kept = [d for d in arms if d.label.arm != "steered" or d.label.map == "ridge"]
        reached = found(place, at, kept, target)
        return replace(reached, missed=("steered C pad: out of reach",))

    monkeypatch.setattr(families, "cached_doses", short)
    mine = lab_with_vectors()
    few = run(PHASE, replace(PARAMS, source="C", maps=("pad", "ridge")), mine)
    assert {r.map for r in few if r.source == "C"} == {"ridge"}
    summary = PHASE.summarize(few, MemoryKept(mine.files))
    assert "A: steered C pad: out of reach" in summary.lines
    (ridge,) = [
        e
        for e in summary.entries
        if e.configuration.map == "ridge" and e.configuration.arm == "steered"
    ]
    assert "native vector has no arm" in ridge.reasons["transfer_efficiency"]


def test_likeness_is_said_before_and_after_steering(rows: list[Row], lab: TinyLab) -> None:
    """Two targets in one gathering: homophily, kappa of refusals, CKA."""
    other = lab_with_vectors("B")
    both = [*rows, *run(PHASE, replace(PARAMS, source="A", maps=("pad", "ridge")), other)]
    both = [replace(r, aqi_axioms=tuple(a + 40 for a in r.aqi_axioms)) for r in both]  # no floor
    lines = PHASE.summarize(both, MemoryKept({**lab.files, **other.files})).lines
    assert [line for line in lines if line.startswith("homophily of AQI (mean) unsteered")]
    said = next(li for li in lines if li.startswith("homophily of AQI (mean) steered_by_A_ridge"))
    assert f"K={SUITE.nulls}" in said
    assert [line for line in lines if line.startswith("refusal kappa unsteered")]
    (likeness,) = [line for line in lines if line.startswith("representational homophily")]
    own = [of(rows, source="B", map="ridge", arm="steered")[0].prompt_cka]
    own += [of(both, target="B", map="ridge", arm="steered")[0].prompt_cka]
    far = of(rows, source="C", map="ridge", arm="steered")[0].prompt_cka
    assert f"mean {np.mean([np.mean(own), far]):.3f} over 2 pairs" in likeness


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
