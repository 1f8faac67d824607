"""Arms: are random directions and other controls as long as the vector, the flip its negative?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from mahals.evaluation.arms import directions, own_controls
from mahals.evaluation.bench import arm_aqi
from mahals.evaluation.native_vectors import native
from mahals.models.steering.interventions import Arm, Intervention
from tests.support.arm_rows import OWN
from tests.support.tiny_lab import LAYERS, lab_with_vectors
from tests.support.tiny_models import vector


def test_random_directions_have_the_norm_of_the_vector_at_every_block() -> None:
    values = {1: vector(1), 2: 3 * vector(2)}
    own, flipped, *random = directions(OWN, values, 5, seed=3)
    assert own.vectors is values and flipped.vectors is values
    assert (own.sign, flipped.sign, flipped.label.arm) == (1.0, -1.0, "flipped")
    assert [d.label.draw for d in random] == list(range(5))
    for d in random:
        assert d.label.arm == "random" and (d.label.source, d.label.map) == (None, None)
        assert (d.label.operator, d.label.placement, d.label.layers) == ("add", "raw", (1,))
        for block, v in values.items():
            assert d.vectors[block].norm().item() == pytest.approx(v.norm().item(), rel=1e-5)
    drawn = torch.stack([d.vectors[1] for d in random])
    assert torch.linalg.matrix_rank(drawn) == 5
    for d in random:  # one direction for all blocks, as a vector nearly is
        assert torch.cosine_similarity(d.vectors[1], d.vectors[2], dim=0).item() > 1 - 1e-5
    again = directions(OWN, values, 5, seed=3)[2:]
    assert all(torch.equal(a.vectors[1], b.vectors[1]) for a, b in zip(random, again, strict=True))
    other = directions(OWN, values, 5, seed=4)[2]
    assert not torch.allclose(other.vectors[1], random[0].vectors[1])


def test_the_flip_is_the_negated_vector(at: Any) -> None:
    own, flipped, *_ = directions(OWN, {1: vector()}, 2, seed=0)
    (step,), (back,) = own.at(0.5).steps, flipped.at(0.5).steps
    assert torch.equal(step.direction * step.strength, -back.direction * back.strength)
    negated = Arm("negated", (Intervention(1, -vector(), 0.5, "add"),))
    one, two = arm_aqi(at, [flipped.at(0.5), negated])
    assert one.aqi == two.aqi


def test_controls_have_the_norm_of_the_vector_and_their_own_kind() -> None:
    lab = lab_with_vectors()
    own = native(lab, "A", "mean_difference")
    given = torch.stack(
        [torch.stack([vector(9 * k + b, 7.0) for b in range(LAYERS)]) for k in (1, 2)]
    )
    vectors = {1: own.values[1], 2: own.values[2]}
    found = own_controls(replace(OWN, vector=own.mark), replace(own, shuffled=given), vectors)
    assert [d.label.arm for d in found] == ["shuffled_pairs"] * 2 + ["permuted_layers"]
    assert [d.label.draw for d in found] == [0, 1, None]
    for d in found:
        assert d.label.vector == own.mark
        for block, v in vectors.items():
            assert d.vectors[block].norm().item() == pytest.approx(v.norm().item(), rel=1e-5)
    for k in (0, 1):
        like = torch.cosine_similarity(found[k].vectors[2], given[k, 2], dim=0)
        assert like.item() == pytest.approx(1, abs=1e-6)
    assert own_controls(OWN, replace(own, shuffled=None, values=own.values[:1]), vectors) == []
