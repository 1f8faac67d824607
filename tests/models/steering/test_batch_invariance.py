"""Is a text whose state depends on its batch found out?"""

import pytest

from mahals.models.steering.batch_invariance import check_batched
from tests.support.model_calls import hooks_on
from tests.support.steering_arms import SEVEN_ARMS, UNSTEERED, encoded_for
from tests.support.tiny_models import FAMILIES, loaded


def test_a_text_is_read_alone_as_in_its_batch(monkeypatch, one_batch):
    for family in FAMILIES:
        at = loaded(family)
        for pool in ("mean", "last"):
            check_batched(at, encoded_for(at), SEVEN_ARMS[4], pool)
            check_batched(at, encoded_for(at), UNSTEERED, pool)
    assert hooks_on(at.model) == 0
    unmasked = "mahals.models.steering.replay.pooled"  # padding gets a weight
    monkeypatch.setattr(unmasked, lambda states, batch, pool: states.mean(dim=1))
    with pytest.raises(RuntimeError, match="and alone"):
        check_batched(at, encoded_for(at), SEVEN_ARMS[1], "mean_all")
