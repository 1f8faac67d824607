"""Do increments sum to the last vector?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.vectors.placement import increments
from mahals.records import InputError


def test_increments_sum_to_the_last_vector() -> None:
    v = np.random.default_rng(0).standard_normal((6, 4))
    found = increments(v, (2, 3, 4))
    np.testing.assert_allclose(found[2], v[2])
    np.testing.assert_allclose(found[3], v[3] - v[2])
    np.testing.assert_allclose(sum(found.values()), v[4])
    apart = increments(v, [5, 1])
    np.testing.assert_allclose(sum(apart.values()), v[5])
    np.testing.assert_allclose(increments(v, [3])[3], v[3])


def test_blocks_that_are_not_there_are_refused() -> None:
    for blocks in ([], [3], [-1], [1, 1]):
        with pytest.raises(InputError, match="block numbers from 0 to 2"):
            increments(np.ones((3, 2)), blocks)
