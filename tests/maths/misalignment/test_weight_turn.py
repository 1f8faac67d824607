"""Is a corner in the path of weights found, and a tremble not?"""

import numpy as np
import pytest

from mahals.maths.misalignment.weight_turn import turning
from mahals.records import InputError


def path(corner: int, steps: int) -> dict[int, np.ndarray]:
    """Weights that go along one axis to step `corner` and along another from there."""
    return {
        t: np.array([min(t, corner), max(0, t - corner)], dtype=float) for t in range(steps + 1)
    }


def test_a_corner_is_found_and_a_straight_line_is_straight() -> None:
    for k in (1, 5, 10):
        found = turning(path(23, 60), k, 0.1)
        assert found.step == 23 and found.cosine.min() == pytest.approx(0, abs=1e-12)
    line = turning({t: np.array([t, 2.0 * t]) for t in range(30)}, 5, 0.1)
    assert line.cosine == pytest.approx(1.0)


def test_a_turn_below_the_floor_is_not_one() -> None:
    """After step 40 the weights only tremble: the sharpest turn, and of no meaning."""
    rng = np.random.default_rng(0)
    weights = path(20, 40) | {
        t: np.array([20, 20.0]) + 1e-3 * rng.normal(size=2) for t in range(41, 80)
    }
    assert turning(weights, 5, 0.0).step > 40
    assert turning(weights, 5, 0.1).step == 20


def test_no_turn_in_too_few_steps() -> None:
    found = turning({0: [0.0], 1: [1.0]}, 5, 0.1)
    assert found.step is None and found.why == "too few steps"
    with pytest.raises(InputError):
        turning({0: [0.0]}, 0, 0.1)
