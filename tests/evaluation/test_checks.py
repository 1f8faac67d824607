"""Checks: is steering that does not act where it has to, or acts at strength 0, an error?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mahals.evaluation.arms import directions
from mahals.evaluation.bench import measure_arms
from mahals.evaluation.checks import check_acted
from mahals.evaluation.dose import at_lambda
from tests.support.arm_rows import OWN
from tests.support.tiny_models import vector


def test_only_strength_0_is_the_unsteered_model(at: Any) -> None:
    own = directions(OWN, {1: vector()}, 1, seed=0)[:1]
    dosed = [*at_lambda(own, 0.0), *at_lambda(own, 1.0)]
    still, moved = measure_arms(at, [d.arm for d in dosed], neutral=True)
    assert [m.is_unmoved(still) for m in (still, moved)] == [True, False]
    assert not replace(still, kl=1e-9).is_unmoved(still)
    check_acted(dosed, [True, False])
    with pytest.raises(RuntimeError, match=r"at strength 1\.0: hooks did not act"):
        check_acted(dosed, [True, True])
    with pytest.raises(RuntimeError, match=r"at strength 0\.0: hooks did not act"):
        check_acted(dosed, [False, False])
