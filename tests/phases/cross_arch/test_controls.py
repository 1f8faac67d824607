"""Crossing architectures, controls: is each what it says, and off the ranks?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from mahals.data.texts import AXIOMS
from mahals.evaluation.transfer.states import TextReading, pair_blocks
from mahals.harness.leaderboard.ranking import rank
from mahals.maths.transfer.cka import debiased_cka
from mahals.phases.cross_arch import PHASE
from mahals.phases.cross_arch.rows import Row
from tests.support.crossed import PARAMS, of
from tests.support.tiny_lab import SUITE, MemoryKept, TinyLab, lab_with_vectors, prompts, run


@pytest.fixture(scope="module")
def lab() -> TinyLab:
    return lab_with_vectors()


@pytest.fixture(scope="module")
def rows(lab: TinyLab) -> list[Row]:
    return run(PHASE, PARAMS, lab)


WHOLE = replace(
    PARAMS,
    source="C",
    maps=("pad", "ridge", "mlp", "anchors"),
    layer_match="cka",
    controls=("wrong_layer", "unrelated", "random_moved", "random_target"),
)


@pytest.fixture(scope="module")
def whole() -> tuple[list[Row], TinyLab]:
    """Every map and control, of one source, and the lab it was measured in."""
    lab = lab_with_vectors()
    return run(PHASE, WHOLE, lab), lab


def test_every_control_has_its_rows(whole: tuple[list[Row], TinyLab]) -> None:
    rows, _ = whole
    crossed = [(r.arm, r.map, r.draw) for r in rows if r.map and r.target_role == "base"]
    every_dose = [
        *(("steered", m, None) for m in WHOLE.maps),
        *(("shuffled", "ridge", k) for k in range(SUITE.nulls)),
    ]
    assert crossed == [
        *every_dose * len(SUITE.kls),
        *every_dose[len(WHOLE.maps) :],
        ("wrong_layer", "ridge", None),
        ("unrelated", "ridge", None),
        *(("random_moved", "ridge", k) for k in range(WHOLE.draws)),
    ]


def test_the_control_vectors_are_what_they_say(whole: tuple[list[Row], TinyLab]) -> None:
    """Through pad, which shows the source's own coordinates."""
    lab = lab_with_vectors()
    own = lab.files["vectors-A"]["values"][1]
    theirs = lab.files["vectors-C"]["values"]
    params = replace(
        WHOLE, maps=("pad",), layer_match="relative_depth", controls=("wrong_layer", "unrelated")
    )
    found = {r.arm: r for r in run(PHASE, params, lab) if r.map}
    assert found["steered"].source_layers == (2,)
    far = theirs[5][: len(own)]  # block 5 of 6 is the farthest from block 2
    expected = torch.nn.functional.cosine_similarity(far, own, dim=0).item()
    assert found["wrong_layer"].cosine_native == pytest.approx(expected, abs=1e-5)
    one = lab.load("C", "base")
    means = []
    for axiom in AXIOMS[:2]:
        texts = [p.text for p in prompts("extraction") if p.axiom == axiom and p.label == 1]
        states = [chat_state(one, text, 2) for text in texts]
        means.append(torch.stack(states).mean(dim=0))
    topic = (means[0] - means[1])[: len(own)]
    expected = torch.nn.functional.cosine_similarity(topic, own, dim=0).item()
    assert found["unrelated"].cosine_native == pytest.approx(expected, abs=1e-4)
    assert found["unrelated"].method is None


def chat_state(one: Any, text: str, block: int) -> torch.Tensor:
    """The state after a block at the last token of a prompt in chat form."""
    turns = [{"role": "user", "content": text}]
    said = one.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    ids = one.tokenizer(said, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return one.model(ids, output_hidden_states=True).hidden_states[block + 1][0, -1]


@pytest.mark.slow
def test_layers_are_matched_by_cka_where_asked(whole: tuple[list[Row], TinyLab]) -> None:
    """C is random, so no block is special: the chosen one is the best of its CKAs, by hand."""
    rows, lab = whole
    row = of(rows, arm="steered", map="ridge", target_role="base")[0]
    texts = [p.text for p in prompts("mapping")]
    mine = torch.stack([chat_state(lab.load("A", "base"), t, 1) for t in texts])
    theirs = torch.stack(
        [chat_state(lab.load("C", "base"), t, row.source_layers[0]) for t in texts]
    )
    by_hand = debiased_cka(theirs.double().numpy(), mine.double().numpy())
    assert row.prompt_cka == pytest.approx(by_hand, abs=1e-5)
    fixed = [
        pair_blocks(TextReading("last", match), "C", ("A", "base"), (1,), lab).cka
        for match in ("cka", "relative_depth")
    ]
    assert row.cka == pytest.approx(fixed[0]) and fixed[0] >= fixed[1]


@pytest.mark.slow
def test_mapping_states_are_read_where_the_vector_was_read() -> None:
    found = []
    for pool in ("last", "mean"):
        lab = lab_with_vectors()
        lab.made["steering_vectors", "C"] = [
            replace(r, pool=pool) for r in lab.made["steering_vectors", "C"]
        ]
        params = replace(PARAMS, source="C", maps=("ridge",), controls=())
        found.append(run(PHASE, params, lab)[-1])
        whole = pair_blocks(TextReading(pool, "relative_depth"), "C", ("A", "base"), (1,), lab)
        assert found[-1].cka == whole.cka
    assert found[0].cka != found[1].cka and found[0].r2_held_out != found[1].r2_held_out


@pytest.mark.slow
def test_a_target_with_random_weights_is_a_control_of_its_own(
    whole: tuple[list[Row], TinyLab],
) -> None:
    """No place on the board, no share in any other number; nil by ridge, the default map.

    Other maps may move the geometry of a model of a few thousand weights by chance (few texts,
    three random draws); then their line says so.
    """
    rows, lab = whole
    kept = MemoryKept(lab.files)
    random = of(rows, target_role="random")
    arms = ["unsteered", *["random"] * SUITE.nulls, *["steered"] * len(WHOLE.maps)]
    assert [r.arm for r in random] == arms
    assert {(r.dose_kind, r.dose) for r in random[1:]} == {("lambda", 1.0)}
    assert {r.cosine_native for r in random} == {None}, "it has no vector of its own"
    found, without = (
        PHASE.summarize(rows, kept),
        PHASE.summarize(of(rows, target_role="base"), kept),
    )
    assert found.entries == without.entries
    nil = {k: v for k, v in found.metrics.items() if k.endswith("random_target/nil")}
    assert nil.keys() == {f"C/{m}/random_target/nil" for m in WHOLE.maps}
    assert nil["C/ridge/random_target/nil"] == 1.0
    assert not [k for k in found.metrics if "random_target" in k and k in without.metrics]
    said = [line for line in found.lines if line.startswith("control random_target: A with random")]
    assert len(said) == len(WHOLE.maps)
    assert sum(line.endswith(": nil") for line in said) == sum(nil.values())
    lifted = [replace(r, aqi=r.aqi + 500) if r is random[-1] else r for r in rows]
    assert PHASE.summarize(lifted, kept).metrics["C/anchors/random_target/nil"] == 0.0


def test_controls_have_lines_metrics_and_a_place_off_the_ranks(
    whole: tuple[list[Row], TinyLab],
) -> None:
    rows, lab = whole
    found = PHASE.summarize(rows, MemoryKept(lab.files))
    for name in ("wrong_layer", "unrelated", "random_moved_0", "random_moved_1"):
        assert f"C/ridge/{name}/gap_over_nulls" in found.metrics
        assert [line for line in found.lines if line.startswith(f"control {name}: A, vector of C")]
    for name in WHOLE.maps:
        assert f"C/{name}/gap_over_shuffled" in found.metrics, "crossings share their nulls"
    arms = {"wrong_layer", "unrelated", "random_moved"}
    board = [line for line in rank(found.entries).lines if line.entry.configuration.arm in arms]
    assert len(board) == 3 and {line.status for line in board} == {"control"}
    assert all(line.why.startswith("control: ") for line in board)
