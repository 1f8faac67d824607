"""Native vectors: are they placed, permuted and marked by their content?"""

from __future__ import annotations

from dataclasses import replace

import torch

from mahals.evaluation.native_vectors import native, permuted, placed
from mahals.phase import Single
from tests.support.tiny_lab import LAYERS, lab_with_vectors, refused
from tests.support.tiny_models import vector


def test_increments_sum_to_the_last_vector() -> None:
    values = torch.stack([vector(i) for i in range(LAYERS)])
    raw, steps = placed(values, (1, 2, 3), "raw"), placed(values, (1, 2, 3), "increments")
    torch.testing.assert_close(sum(steps.values()), values[3])
    assert all(torch.equal(raw[b], values[b]) for b in (1, 2, 3))
    assert torch.equal(placed(values, (2,), "increments")[2], values[2])


def test_a_method_that_was_not_made_is_refused() -> None:
    said = str(refused(lambda: native(lab_with_vectors(), "A", "svd_k", "contrast")))
    assert "mean_difference" in said and "'svd_k'" in said and "steering_vectors.methods" in said
    found = native(lab_with_vectors(), "C", "mean_difference", "contrast")
    assert found.values.shape == (6, 48) and len(found.state_norm) == 6


def test_permuted_layers_are_a_derangement_and_one_block_takes_the_farthest() -> None:
    values = torch.stack([vector(i) for i in range(6)])
    for blocks in ((1, 2), (0, 2, 5), (1, 2, 3, 4), (0, 1, 2, 3, 4)):
        own = {b: values[b] for b in blocks}
        found = permuted(values, own)
        taken = [next(o for o in blocks if torch.equal(found[b], values[o])) for b in blocks]
        assert sorted(taken) == list(blocks) and all(
            a != b for a, b in zip(taken, blocks, strict=True)
        )
    assert torch.equal(permuted(values, {1: values[1]})[1], values[5])
    assert torch.equal(permuted(values, {4: values[4]})[4], values[0])


def test_the_mark_is_of_the_vectors_content() -> None:
    lab, other = lab_with_vectors(), lab_with_vectors()
    one = native(lab, "A", "mean_difference", "contrast")
    assert len(one.mark) == 12 and int(one.mark, 16) >= 0
    assert one.mark == native(other, "A", "mean_difference", "contrast").mark
    name = other.made["steering_vectors", "A"][0].vectors
    other.files[name] = {"values": other.files[name]["values"].clone()}
    other.files[name]["values"][0, 0] += 1e-3
    assert native(other, "A", "mean_difference", "contrast").mark != one.mark
    assert one.kept == f"steering_vectors:{name}"


def test_a_model_without_a_pair_takes_the_method_of_one_checkpoint() -> None:
    lab = lab_with_vectors()
    rows = lab.made["steering_vectors", "A"]
    lab.made["steering_vectors", "A"] = [replace(r, method="contrast") for r in rows]
    lab.singles = {"A": Single("aligned", "no base is public")}
    assert native(lab, "A", "mean_difference", "contrast").method == "contrast"
    assert native(lab, "B", "mean_difference", "contrast").method == "mean_difference"
    assert "'pca'" in str(refused(lambda: native(lab, "A", "mean_difference", "pca")))
