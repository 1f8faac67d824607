"""Which blocks meet, by depth and by likeness?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.transfer.cka import debiased_cka
from mahals.maths.transfer.layers import farthest_layer, match_by_cka, match_layer
from mahals.records import InputError


def test_layers_match_by_relative_depth() -> None:
    assert [match_layer(b, 6, 6) for b in range(6)] == [0, 1, 2, 3, 4, 5]
    assert match_layer(31, 32, 28) == 27
    assert match_layer(2, 4, 8) == 5  # three quarters of the way
    assert match_layer(0, 4, 2) == 0
    assert match_layer(2, 4, 2) == 0  # .75 lies between .5 and 1: the lower one
    for bad in (-1, 4):
        with pytest.raises(InputError, match="0 to 3"):
            match_layer(bad, 4, 8)


def test_the_farthest_layer_is_at_the_other_end() -> None:
    assert [farthest_layer(b, 5) for b in range(5)] == [4, 4, 0, 0, 0]
    for bad in (-1, 5):
        with pytest.raises(InputError, match="0 to 4"):
            farthest_layer(bad, 5)
    with pytest.raises(InputError, match="choose from"):
        farthest_layer(0, 1)


def test_a_layer_is_found_by_likeness_in_another_basis() -> None:
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.standard_normal((6, 200, 16)), axis=0)  # a residual stream
    target = walk[3] @ np.linalg.qr(rng.standard_normal((24, 24)))[0][:16]
    found = match_by_cka(list(walk), target + 0.1 * rng.standard_normal((200, 24)))
    block, all_of_them = found.block, found.cka
    assert block == 3 == int(np.argmax(all_of_them)) and len(all_of_them) == 6
    assert all_of_them[1] == pytest.approx(debiased_cka(walk[1], target), abs=0.05)
    assert match_by_cka([walk[3], walk[3]], target).block == 0, "the lower one on a tie"
    with pytest.raises(InputError, match="one or more"):
        match_by_cka([], target)
