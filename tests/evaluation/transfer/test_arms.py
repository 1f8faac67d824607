"""Transfer arms: does a vector cross by each map, with just the controls asked for?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from mahals.evaluation.native_vectors import native
from mahals.evaluation.transfer.arms import (
    TransferPlan,
    VectorTransfer,
    check_plan,
    transfer_directions,
)
from mahals.evaluation.transfer.states import TextReading, pair_blocks, topic_vectors
from mahals.maths.transfer.fitting import fit_map, fit_shuffled
from mahals.maths.vectors.random_directions import random_like
from mahals.records import seed_of
from tests.support.arm_rows import OWN
from tests.support.tiny_lab import WIDE, WIDTH, TinyLab, lab_with_vectors, refused

READING = TextReading("last", "relative_depth")
PLAN = TransferPlan(("pad",), "relative_depth", (), 2, ())
LENGTHS = {1: 3.0, 3: 0.5}
TARGET = ("A", "base")
SEED = seed_of("map", "C", "A", 0)


def crossing(lab: TinyLab, source: str) -> VectorTransfer:
    """The vector of `source` on its way into blocks 1 and 3 of A, which take 3 and 0.5 of it."""
    theirs = native(lab, source, "mean_difference", "contrast")
    label = replace(OWN, source=source, layers=(1, 3), vector=theirs.mark, kept=theirs.kept)
    return VectorTransfer(source, theirs.values, label, LENGTHS, READING)


def moved(lab: TinyLab, source: str, **changes: Any) -> list[Any]:
    plan = replace(PLAN, **changes)
    return list(transfer_directions(crossing(lab, source), plan, TARGET, lab))


def test_padding_cuts_a_wider_vector_and_every_block_takes_its_length() -> None:
    lab = lab_with_vectors()
    values = native(lab, "C", "mean_difference", "contrast").values.double()
    assert values.shape[1] == WIDE > WIDTH
    (found,) = moved(lab, "C")
    assert found.pairing.blocks == {1: 2, 3: 5}
    for block, met in found.pairing.blocks.items():
        cut = values[met, :WIDTH]
        torch.testing.assert_close(
            found.direction.vectors[block].double(),
            cut / cut.norm() * LENGTHS[block],
            rtol=1e-5,
            atol=1e-6,
        )
    label = found.direction.label
    assert (label.arm, label.map, label.source_layers) == ("steered", "pad", (2, 5))


def test_ridge_moves_by_the_fit_of_each_block() -> None:
    lab = lab_with_vectors()
    values = native(lab, "C", "mean_difference", "contrast").values.double().numpy()
    (found,) = moved(lab, "C", maps=("ridge",))
    pairing = pair_blocks(READING, "C", TARGET, (1, 3), lab)
    for block, met in pairing.blocks.items():
        fit = fit_map("ridge", *pairing.sides[block], SEED, pairing.clusters)
        expected = values[met] @ fit.matrix
        expected *= LENGTHS[block] / np.linalg.norm(expected)
        np.testing.assert_allclose(found.direction.vectors[block], expected, atol=1e-5)


def test_identity_crosses_between_equal_widths_alone() -> None:
    lab = lab_with_vectors()
    assert [m.direction.label.map for m in moved(lab, "C", maps=("identity", "pad"))] == ["pad"]
    same, _ = moved(lab, "B", maps=("identity", "pad"))
    own = native(lab, "B", "mean_difference", "contrast").values[3].double()
    expected = (own / own.norm() * LENGTHS[3]).float()
    torch.testing.assert_close(same.direction.vectors[3], expected)


def test_each_control_comes_from_where_it_says() -> None:
    lab = lab_with_vectors()
    kinds = ("shuffled_all", "wrong_layer", "unrelated", "random_moved", "random_target")
    found = moved(lab, "C", maps=("pad", "ridge"), controls=kinds, null_draws=(3, 8))
    named = [(m.direction.label.arm, m.direction.label.map, m.direction.label.draw) for m in found]
    assert named == [
        ("steered", "pad", None),
        ("steered", "ridge", None),
        ("shuffled", "ridge", 3),
        ("shuffled", "ridge", 8),
        ("wrong_layer", "ridge", None),
        ("unrelated", "ridge", None),
        ("random_moved", "ridge", 0),
        ("random_moved", "ridge", 1),
    ]
    by_arm = {m.direction.label.arm: m for m in found}
    pairing = by_arm["wrong_layer"].pairing
    fit = fit_map("ridge", *pairing.sides[1], SEED, pairing.clusters)
    values = native(lab, "C", "mean_difference", "contrast").values.double().numpy()
    sources = {
        "wrong_layer": values[5],  # the farthest of 6 blocks from block 2
        "unrelated": topic_vectors(READING, "C", pairing, lab)[2],
        "random_moved": random_like(values[2], 2, seed_of("random moved", "C", 0))[1],
    }
    for arm, vector in sources.items():
        expected = vector @ fit.matrix
        expected *= LENGTHS[1] / np.linalg.norm(expected)
        np.testing.assert_allclose(by_arm[arm].direction.vectors[1], expected, atol=1e-5)
        assert (by_arm[arm].direction.label.vector is None) is (arm != "wrong_layer")
    straight, *shuffled = (m.direction.vectors[1] for m in found[1:4])
    assert all(torch.cosine_similarity(straight, s, dim=0) < 0.9 for s in shuffled)
    for draw, vector in zip((3, 8), shuffled, strict=True):
        fit = fit_shuffled("ridge", *pairing.sides[1], SEED + draw, pairing.clusters)
        expected = values[2] @ fit.matrix
        expected *= LENGTHS[1] / np.linalg.norm(expected)
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_nulls_are_of_one_fitted_map_and_all_the_others_are_shuffled_where_asked() -> None:
    """The family of nulls is always there; other maps without correspondence are a control."""
    lab = lab_with_vectors()

    def shuffled(**changes: Any) -> list[Any]:
        labels = [m.direction.label for m in moved(lab, "C", **changes)]
        return [(x.map, x.draw) for x in labels if x.arm == "shuffled"]

    maps = ("pad", "procrustes", "ridge")
    assert shuffled(maps=maps) == [], "this source's share is none"
    assert shuffled(maps=maps, null_draws=(0, 2)) == [("ridge", 0), ("ridge", 2)]
    both = shuffled(maps=maps, null_draws=(0,), controls=("shuffled_all",))
    assert both == [("ridge", 0), ("procrustes", 0), ("procrustes", 1)]
    assert shuffled(maps=("pad",), null_draws=(0,)) == [], "no fitted map, no shuffled one"


def test_a_target_with_random_weights_has_no_controls_of_its_own() -> None:
    lab = lab_with_vectors()
    plan = replace(PLAN, controls=("unrelated", "random_moved"))
    found = list(transfer_directions(crossing(lab, "C"), plan, ("A", "random"), lab))
    assert [m.direction.label.arm for m in found] == ["steered"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"maps": ("pad", "pad")}, "cross_arch.maps"),
        ({"controls": ("unrelated", "unrelated")}, "cross_arch.controls"),
        ({"controls": ("shuffled_all",)}, "add ridge to cross_arch.maps"),
        ({"maps": ("identity",), "controls": ("unrelated",)}, "add ridge to cross_arch.maps"),
    ],
)
def test_plans_that_cannot_be_are_refused(changes: Any, said: str) -> None:
    assert said in str(refused(lambda: check_plan(replace(PLAN, **changes))))


def test_controls_are_of_ridge_where_it_is_used() -> None:
    check_plan(replace(PLAN, maps=("identity", "pad"), controls=("unrelated", "random_target")))
    assert replace(PLAN, maps=("pad", "ridge", "mlp")).control_map == "ridge"
    assert replace(PLAN, maps=("procrustes", "mlp", "identity")).control_map == "mlp"
