"""Arms: are null directions and other controls as long as the vector, the flip its negative?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from mahals.evaluation.arms import (
    from_shuffled_pairs,
    isotropic,
    null_directions,
    own_and_flipped,
    permuted_layers,
)
from mahals.evaluation.native_vectors import native
from mahals.evaluation.scores import arm_aqi
from mahals.models.steering.interventions import Arm, Intervention
from tests.support.arm_rows import OWN
from tests.support.tiny_lab import LAYERS, SHUFFLES, lab_with_vectors, refused
from tests.support.tiny_models import vector


def test_random_directions_have_the_norm_of_the_vector_at_every_block() -> None:
    values = {1: vector(1), 2: 3 * vector(2)}
    crossed = replace(OWN, source="B", map="ridge", source_layers=(2,), vector="x", kept="y")
    random = isotropic(crossed, values, 5, seed=3)
    assert [d.label.draw for d in random] == list(range(5))
    for d in random:
        assert d.label.arm == "random" and (d.label.source, d.label.map) == (None, None)
        assert (d.label.vector, d.label.kept, d.label.source_layers) == (None, None, None)
        assert (d.label.operator, d.label.placement, d.label.layers) == ("add", "raw", (1,))
        for block, v in values.items():
            assert d.vectors[block].norm().item() == pytest.approx(v.norm().item(), rel=1e-5)
    drawn = torch.stack([d.vectors[1] for d in random])
    assert torch.linalg.matrix_rank(drawn) == 5
    for d in random:  # one direction for all blocks, as a vector nearly is
        assert torch.cosine_similarity(d.vectors[1], d.vectors[2], dim=0).item() > 1 - 1e-5
    again = isotropic(OWN, values, 5, seed=3)
    assert all(torch.equal(a.vectors[1], b.vectors[1]) for a, b in zip(random, again, strict=True))
    other = isotropic(OWN, values, 5, seed=4)[0]
    assert not torch.allclose(other.vectors[1], random[0].vectors[1])


def test_the_flip_is_the_negated_vector(at: Any) -> None:
    values = {1: vector()}
    own, flipped = own_and_flipped(OWN, values)
    assert own.vectors is values and flipped.vectors is values
    assert (own.sign, flipped.sign, flipped.label.arm) == (1.0, -1.0, "flipped")
    (step,), (back,) = own.at(0.5).steps, flipped.at(0.5).steps
    assert torch.equal(step.direction * step.strength, -back.direction * back.strength)
    negated = Arm("negated", (Intervention(1, -vector(), 0.5, "add"),))
    one, two = arm_aqi(at, [flipped.at(0.5), negated])
    assert one.mean.aqi == two.mean.aqi and one.last.aqi == two.last.aqi


def test_nulls_of_shuffled_pairs_are_those_that_were_kept_as_long_as_the_vector() -> None:
    lab = lab_with_vectors()
    own = native(lab, "A", "mean_difference", "contrast")
    given = torch.stack(
        [torch.stack([vector(9 * k + b, 7.0) for b in range(LAYERS)]) for k in (1, 2, 3)]
    )
    vectors = {1: own.values[1], 2: own.values[2]}
    found = from_shuffled_pairs(
        replace(OWN, vector=own.mark), replace(own, shuffled=given), vectors, 2
    )
    assert [(d.label.arm, d.label.draw) for d in found] == [
        ("shuffled_pairs", 0),
        ("shuffled_pairs", 1),
    ]
    for k, d in enumerate(found):
        assert (d.label.vector, d.label.source) == (None, None), "they are the target's"
        for block, v in vectors.items():
            assert d.vectors[block].norm().item() == pytest.approx(v.norm().item(), rel=1e-5)
        like = torch.cosine_similarity(d.vectors[2], given[k, 2], dim=0)
        assert like.item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("kept", [0, None, SHUFFLES])
def test_fewer_shuffles_than_nulls_are_refused(kept: int | None) -> None:
    own = native(lab_with_vectors(), "A", "mean_difference", "contrast")
    assert own.shuffled is not None and len(own.shuffled) == SHUFFLES
    own = replace(own, shuffled=None if kept is None else own.shuffled[:kept])
    said = str(refused(lambda: from_shuffled_pairs(OWN, own, {1: own.values[1]}, SHUFFLES + 1)))
    assert "steering_vectors.shuffles" in said and f"{SHUFFLES + 1} or more" in said
    assert "ask for fewer null arms" in said


def test_the_nulls_of_a_vector_are_both_families_of_equal_number() -> None:
    own = native(lab_with_vectors(), "A", "mean_difference", "contrast")
    found = null_directions(OWN, own, {1: own.values[1]}, SHUFFLES, seed=0)
    assert [d.label.arm for d in found] == ["random"] * SHUFFLES + ["shuffled_pairs"] * SHUFFLES
    alone = isotropic(OWN, {1: own.values[1]}, SHUFFLES, 0)
    assert all(torch.equal(a.vectors[1], b.vectors[1]) for a, b in zip(found, alone, strict=False))


def test_a_permuted_vector_has_the_norms_of_the_vector() -> None:
    own = native(lab_with_vectors(), "A", "mean_difference", "contrast")
    vectors = {1: own.values[1], 2: own.values[2]}
    label = replace(OWN, vector=own.mark)
    (found,) = permuted_layers(label, own, vectors)
    assert (found.label.arm, found.label.vector) == ("permuted_layers", own.mark)
    for block, other in ((1, 2), (2, 1)):
        mine = found.vectors[block]
        assert mine.norm().item() == pytest.approx(vectors[block].norm().item(), rel=1e-5)
        like = torch.cosine_similarity(mine, own.values[other], dim=0)
        assert like.item() == pytest.approx(1, abs=1e-6)
    assert permuted_layers(label, replace(own, values=own.values[:1]), {0: own.values[0]}) == []
