"""Dose: do all directions get the dose asked for, or a reason?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from mahals.evaluation.arms import Direction, isotropic, own_and_flipped
from mahals.evaluation.dose import NOT_STEERED, at_lambda, within_reach
from mahals.models.generation.price import neutral_price
from tests.support.arm_rows import OWN
from tests.support.tiny_lab import WIDTH
from tests.support.tiny_models import vector


def directions() -> list[Direction]:
    """A vector, its flip and two random ones."""
    values = {1: vector()}
    return [*own_and_flipped(OWN, values), *isotropic(OWN, values, 2, seed=0)]


def test_doses_are_on_the_labels_and_at_equal_kl_the_kl_is_equal(at: Any) -> None:
    """The KL that counts: on neutral text or on chat, whichever an arm moves more."""
    found = directions()
    assert {(d.label.dose_kind, d.label.dose) for d in at_lambda(found, 0.5)} == {("lambda", 0.5)}
    dosed = within_reach(at, found, 0.05).dosed
    assert len(dosed) == len(found)
    assert {(d.label.dose_kind, d.label.dose) for d in dosed} == {("kl", 0.05)}
    arms = [NOT_STEERED.arm, *(d.arm for d in dosed)]
    each = np.stack([neutral_price(at.loaded, t, arms).kl.numpy() for t in at.calibration.sets])
    assert (each[:, 0] == 0).all()
    np.testing.assert_allclose(each[:, 1:].max(axis=0), 0.05, rtol=0.011)
    assert (each[:, 1:].min(axis=0) < 0.05).all()
    assert len({d.strength for d in dosed}) == len(dosed)


def test_a_direction_out_of_reach_is_missed_and_the_others_are_not(at: Any) -> None:
    found = directions()
    nil = replace(found[1], vectors={1: torch.zeros(WIDTH)})
    reached = within_reach(at, [found[0], nil, found[2]], 0.05)
    assert [d.label.arm for d in reached.dosed] == ["steered", "random"]
    (why,) = reached.missed
    assert why.startswith("flipped A add raw at kl=0.05: not measured, a KL of 0")
    alone = within_reach(at, [found[0]], 0.05)
    assert alone.dosed[0].strength == reached.dosed[0].strength
