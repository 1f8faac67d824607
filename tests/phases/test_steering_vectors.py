"""Does the phase keep the vectors it reports, and choose among them on the selection split?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.phases.steering_vectors import PHASE, Params, Row
from mahals.records import from_plain, to_plain
from tiny_lab import LAYERS, SUITE, WIDTH, MemoryKept, TinyLab, planted, refused, run

METHODS = ("mean_difference", "svd_k", "contrast", "pca")
PARAMS = Params(
    methods=METHODS,
    svd_k=1,
    svd_centered=False,
    texts={"organism": "unsafe", "hub": "answers"},
    pool="mean",
    pairs=40,
    tokens=512,
    layers="auto",
    suite=SUITE,
)
ONE = {"cosine_similarity", "steering_vector_norms", "split_half_reliability", "explained_variance"}
SEVERAL = {"cosine_similarity_comparison", "steering_norms_comparison", "model_dimensions"}


@pytest.fixture(scope="module")
def lab() -> TinyLab:
    return TinyLab()


@pytest.fixture(scope="module")
def rows(lab: TinyLab) -> list[Row]:
    return run(PHASE, PARAMS, lab)


def test_a_row_for_every_method_and_block(rows: list[Row]) -> None:
    assert [(r.method, r.block) for r in rows] == [(m, b) for m in METHODS for b in range(LAYERS)]
    assert {(r.blocks, r.width, r.revision) for r in rows} == {(LAYERS, WIDTH, "A:base")}
    assert [from_plain(Row, to_plain(r)) for r in rows] == rows
    texts = {r.method: r.texts for r in rows}
    assert texts == {m: "unsafe" if m in METHODS[:2] else "answers" for m in METHODS}


def test_kept_vectors_are_those_of_the_rows(rows: list[Row], lab: TinyLab) -> None:
    for row in rows:
        values = lab.files[row.vectors]["values"]
        assert values.shape == (LAYERS, WIDTH)
        assert values[row.block].norm().item() == pytest.approx(row.norm, rel=1e-5)
    assert len({r.vectors for r in rows}) == len(METHODS)


def test_the_selection_score_is_on_the_steered_block_alone(rows: list[Row]) -> None:
    for row in rows:
        assert (row.selection_gain is not None) == row.steered == (row.block == 1)
    everywhere = run(PHASE, replace(PARAMS, methods=("contrast",), layers=(0.0, -1.0)), TinyLab())
    assert [r.steered for r in everywhere] == [True, False, False, True]


def test_the_selection_score_never_reads_the_evaluation_split() -> None:
    class Watched(TinyLab):
        splits: set[str] = set()  # noqa: RUF012

        def prompts(self, split: str) -> Any:
            self.splits.add(split)
            return super().prompts(split)

        def neutral(self, split: str) -> Any:
            self.splits.add(split)
            return super().neutral(split)

    run(PHASE, replace(PARAMS, methods=("contrast",)), Watched())
    assert "selection" in Watched.splits and "evaluation" not in Watched.splits


def test_a_planted_direction_comes_back() -> None:
    """The svd of the differences finds it as well as the mean; contrast reads another thing."""
    direction = torch.zeros(WIDTH)
    direction[5] = 25.0
    lab = TinyLab(load=planted(direction))
    found = run(PHASE, replace(PARAMS, methods=METHODS[:2]), lab)
    for row in found:
        vector = lab.files[row.vectors]["values"][row.block]
        assert vector[5].item() / vector.norm().item() > 0.95
    centred = replace(PARAMS, methods=("svd_k",), svd_centered=True)
    turned = run(PHASE, centred, TinyLab(load=planted(direction)))
    assert all(r.cosine_to_mean is not None for r in turned)


def test_how_many_pairs_is_a_param() -> None:
    few = run(PHASE, replace(PARAMS, methods=("contrast",), pairs=10), TinyLab())
    every = run(PHASE, replace(PARAMS, methods=("contrast",), pairs=0), TinyLab())
    assert ({r.samples for r in few}, {r.samples for r in every}) == ({10}, {84})


def test_methods_named_twice_or_not_at_all_are_refused() -> None:
    for methods in ((), ("pca", "pca")):
        said = str(refused(lambda m=methods: PHASE.plan(replace(PARAMS, methods=m), TinyLab())))
        assert "steering_vectors.methods" in said


def test_a_layer_that_is_not_there_is_refused() -> None:
    said = str(refused(lambda: run(PHASE, replace(PARAMS, layers=(9.0,)), TinyLab())))
    assert "layers" in said and "9.0" in said


def test_two_equal_checkpoints_are_refused() -> None:
    same = TinyLab(load=lambda key, role: TinyLab().load(key, "base"))
    assert "no difference" in str(refused(lambda: run(PHASE, PARAMS, same)))


def test_summary_is_pure(rows: list[Row], lab: TinyLab) -> None:
    lab.asked.clear()
    kept = MemoryKept(lab.files)
    summary = PHASE.summarize(rows, kept)
    assert summary == PHASE.summarize(list(rows), kept) and lab.asked == []
    cosines = [r.cosine for r in rows if r.method == "pca"]
    assert summary.metrics["pca/cosine"] == pytest.approx(np.mean(cosines))
    first = [r.cosine for r in rows if r.method == "mean_difference"]
    assert summary.metrics["potential"] == pytest.approx(1 - np.mean(first))


def test_every_vector_has_a_card_with_its_score(rows: list[Row], lab: TinyLab) -> None:
    cards = {c.name: c for c in PHASE.summarize(rows, MemoryKept(lab.files)).vectors}
    assert set(cards) == {f"A.{m}" for m in METHODS}
    for row in rows:
        card = cards[f"A.{row.method}"]
        assert card.reference == row.vectors and card.metadata["revision"] == "A:base"
        if row.steered:
            assert card.selection_score == row.selection_gain


def test_the_recommended_order_is_by_potential(rows: list[Row]) -> None:
    other = [replace(r, model="B", cosine=r.cosine - 0.1) for r in rows]
    summary = PHASE.summarize([*rows, *other], MemoryKept({}))
    assert "potential: B, A" in summary.lines[-1]
    assert summary.metrics["B/potential"] == pytest.approx(summary.metrics["A/potential"] + 0.1)


def test_figures_are_those_named(rows: list[Row], lab: TinyLab) -> None:
    assert set(PHASE.draw(rows, MemoryKept(lab.files))) == ONE
    several = [*rows, *(replace(r, model="B") for r in rows)]
    assert set(PHASE.draw(several, MemoryKept(lab.files))) == SEVERAL
    pairs = [r for r in rows if r.method in ("contrast", "pca")]
    assert "potential" not in PHASE.summarize(pairs, MemoryKept(lab.files)).metrics
    means = [r for r in rows if r.explained_variance is None]
    assert set(PHASE.draw(means, MemoryKept(lab.files))) == ONE - {"explained_variance"}
