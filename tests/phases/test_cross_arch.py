"""Does a vector reach the target by the map it names, beside the target's own and its controls?"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.phase import COLUMNS
from mahals.phases.cross_arch import CONTROLS, PHASE, Params, Row
from mahals.records import from_plain, to_plain
from mahals.transfer import match_layer
from tiny_lab import NOUNS, SUITE, MemoryKept, TinyLab, lab_with_vectors, refused, run

PARAMS = Params(
    source="all",
    maps=("identity", "pad", "ridge", "procrustes"),
    method="mean_difference",
    layers="auto",
    layer_match="relative_depth",
    operator="add",
    shuffles=2,
    suite=SUITE,
)


@pytest.fixture(scope="module")
def lab() -> TinyLab:
    return lab_with_vectors()


@pytest.fixture(scope="module")
def rows(lab: TinyLab) -> list[Row]:
    return run(PHASE, PARAMS, lab)


def of(rows: list[Row], **wanted: Any) -> list[Row]:
    return [r for r in rows if all(getattr(r, k) == v for k, v in wanted.items())]


def test_plan_is_the_controls_once_and_every_other_model() -> None:
    def sources(**changes: Any) -> list[str]:
        return [t.source for t in PHASE.plan(replace(PARAMS, **changes), TinyLab())]

    assert sources() == [CONTROLS, "B", "C"]
    assert sources(source="C") == [CONTROLS, "C"]
    assert sources(source="A") == [CONTROLS], "its own vector is a control already"


def test_an_unknown_source_is_refused() -> None:
    said = str(refused(lambda: PHASE.plan(replace(PARAMS, source="Mistral"), TinyLab())))
    assert "cross_arch.source" in said and "all" in said and "\n" not in said


def test_controls_are_the_unsteered_the_own_and_the_random(rows: list[Row]) -> None:
    draws = ["random"] * SUITE.random_directions
    assert [r.arm for r in rows[:6]] == ["unsteered", "steered", "flipped", *draws]
    assert (rows[1].source, rows[1].map) == ("A", None)
    assert rows[1].cosine_native == pytest.approx(1) and rows[2].cosine_native == pytest.approx(-1)
    assert len(of(rows, arm="unsteered")) == 1
    assert [from_plain(Row, to_plain(r)) for r in rows] == rows


def test_identity_is_there_only_between_equal_widths(rows: list[Row]) -> None:
    maps = ["pad", "ridge", "procrustes"]
    assert [r.map for r in of(rows, source="B", arm="steered")] == ["identity", *maps]
    assert [r.map for r in of(rows, source="C", arm="steered")] == maps


def test_shuffled_maps_are_controls_of_their_own(rows: list[Row]) -> None:
    for source in "BC":
        shuffled = of(rows, source=source, arm="shuffled")
        assert [(r.map, r.shuffle, r.draw) for r in shuffled] == [("ridge", 0, 0), ("ridge", 1, 1)]
    assert {r.shuffle for r in rows if r.arm != "shuffled"} == {None}


def test_all_arms_cost_the_same_kl(rows: list[Row]) -> None:
    for row in rows[1:]:
        assert row.kl == pytest.approx(SUITE.dose_kl, rel=0.5)  # found on other texts
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
        assert (row.r2_held_out is not None) == (row.map is not None)
        assert row.map_rows == (None if row.map is None else texts)
    assert max(r.r2_held_out for r in of(rows, arm="shuffled")) < 0.1


def test_maps_are_fitted_on_the_mapping_split_alone() -> None:
    class Watched(TinyLab):
        splits: set[str] = set()  # noqa: RUF012
        asked_in: set[str] = set()  # noqa: RUF012

        def prompts(self, split: str) -> Any:
            self.asked_in.add(split)
            return super().prompts(split)

        def neutral(self, split: str) -> Any:
            self.splits.add(split)
            return super().neutral(split)

    whole = lab_with_vectors()
    lab = Watched(files=whole.files, made=whole.made, data_digest="e" * 64)
    run(PHASE, replace(PARAMS, source="B", maps=("ridge",), shuffles=0), lab)
    assert Watched.asked_in == {"mapping", "evaluation"}
    assert Watched.splits == {"mapping", "evaluation", "selection"}


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


def test_summary_is_pure_and_efficiency_is_absent_without_a_native_gain(
    rows: list[Row], lab: TinyLab
) -> None:
    lab.asked.clear()
    kept = MemoryKept(lab.files)
    found = PHASE.summarize(rows, kept)
    assert found == PHASE.summarize(list(rows), kept) and lab.asked == []
    assert found.metrics["A/native/gain_over_random_low"] < 0
    assert not [k for k in found.metrics if k.endswith("_efficiency")]
    assert all("transfer_efficiency" not in e.metrics for e in found.entries)
    lifted = [
        replace(r, aqi=r.aqi + 500) if r.arm == "steered" and r.map in (None, "ridge") else r
        for r in rows
    ]
    shown = PHASE.summarize(lifted, kept)
    random = np.mean([r.aqi for r in of(rows, arm="random")])
    ridge, own = of(lifted, map="ridge", source="B", arm="steered")[0], lifted[1]
    expected = (ridge.aqi - random) / (own.aqi - random)
    assert shown.metrics["B/ridge/aqi_efficiency"] == pytest.approx(expected)
    lines = [e for e in shown.entries if "transfer_efficiency" in e.metrics]
    assert {(e.configuration.source, e.configuration.map) for e in lines} >= {("B", "ridge")}


def test_entries_are_once_each(rows: list[Row], lab: TinyLab) -> None:
    entries = PHASE.summarize(rows, MemoryKept(lab.files)).entries
    keys = [e.configuration for e in entries]
    # unsteered, own, flipped, random; by map from B four and from C three; shuffled of each
    assert len(set(keys)) == len(keys) == 4 + 4 + 3 + 2
    assert all(set(e.metrics) <= set(COLUMNS) for e in entries)


def test_figures_are_those_named(rows: list[Row], lab: TinyLab) -> None:
    maps = [f"{kind}_matrix_{m}" for m in PARAMS.maps for kind in ("transfer", "refusal")]
    names = {*maps, "efficiency", "compatibility"}
    assert set(PHASE.draw(rows, MemoryKept(lab.files))) == names
    alone = [r for r in rows if r.map is None]
    assert PHASE.draw(alone, MemoryKept(lab.files)) == {}
