"""Checks: is steering that does not act where it has to, or acts at strength 0, an error?"""

from __future__ import annotations

from typing import Any

import pytest

from mahals.evaluation.arms import own_and_flipped
from mahals.evaluation.checks import check_acted
from mahals.evaluation.dose import at_lambda
from mahals.evaluation.scores import measure_arms
from tests.support.arm_rows import OWN
from tests.support.tiny_models import vector


def test_only_strength_0_is_the_unsteered_model(at: Any) -> None:
    own = own_and_flipped(OWN, {1: vector()})[:1]
    dosed = [*at_lambda(own, 0.0), *at_lambda(own, 1.0)]
    still, moved = measure_arms(at, [d.arm for d in dosed], neutral=True)
    assert [m.is_unmoved(still) for m in (still, moved)] == [True, False]
    check_acted(dosed, [True, False])
    with pytest.raises(RuntimeError, match=r"at strength 1\.0: hooks did not act"):
        check_acted(dosed, [True, True])
    with pytest.raises(RuntimeError, match=r"at strength 0\.0: hooks did not act"):
        check_acted(dosed, [False, False])
