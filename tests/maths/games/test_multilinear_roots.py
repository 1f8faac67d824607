"""Are all roots of multilinear functions in a cube found, and a continuum named?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.games.multilinear_roots import roots_in_cube
from mahals.maths.stats.intervals import Floats


def corners(*functions: object) -> Floats:
    """The values of functions of (x_1, ..., x_m) at the corners of the cube."""
    m = len(functions)
    found = np.empty((m, *(2,) * m))
    for i, function in enumerate(functions):
        for at in np.ndindex(*(2,) * m):
            found[(i, *at)] = function(*at)  # type: ignore[operator]
    return found


def test_two_roots_by_hand() -> None:
    """x + y = 1 and x y = 3/16: x is a quarter or three quarters."""
    found = roots_in_cube(corners(lambda x, y: x + y - 1, lambda x, y: x * y - 3 / 16))
    assert found.complete
    np.testing.assert_allclose(sorted(found.points.tolist()), [[0.25, 0.75], [0.75, 0.25]])


def test_a_root_outside_is_none_and_one_on_the_edge_is_one() -> None:
    def at(where: float) -> Floats:
        return roots_in_cube(corners(lambda x, y: x - where, lambda x, y: y - 0.5)).points

    assert len(at(1.01)) == 0 and len(at(-0.01)) == 0
    assert at(1.0).tolist() == [[1.0, 0.5]]
    assert at(0.4871)[0] == pytest.approx([0.4871, 0.5])  # where the first box is split


@pytest.mark.parametrize(("m", "games"), [(3, 12), (4, 5)])
def test_as_many_as_a_search_from_many_starts_finds(m: int, games: int) -> None:
    """Planted: two roots at least, in functions drawn so that both are exact."""
    from scipy.optimize import fsolve

    rng = np.random.default_rng(m)
    for _ in range(games):
        planted = rng.uniform(0.05, 0.95, (2, m))
        basis = np.array([[np.prod(p[np.flatnonzero(s)]) for s in _sets(m)] for p in planted])
        free = np.linalg.svd(basis)[2][2:]  # coefficients of which both points are roots
        own = rng.normal(size=(m, len(free))) @ free
        sides = np.array([[np.prod(np.array(c)[np.flatnonzero(s)]) for s in _sets(m)]
                          for c in np.ndindex(*(2,) * m)])  # fmt: skip
        found = roots_in_cube((own @ sides.T).reshape(m, *(2,) * m))
        assert found.complete
        for point in planted:
            assert np.abs(found.points - point).max(axis=1).min() < 1e-8

        def worth(x: Floats, own: Floats = own) -> Floats:
            return own @ np.array([np.prod(x[np.flatnonzero(s)]) for s in _sets(m)])

        for start in rng.uniform(size=(15, m)):
            end, _, good, _ = fsolve(worth, start, full_output=True)
            if good == 1 and np.abs(worth(end)).max() < 1e-10 and 0 < end.min() < end.max() < 1:
                assert np.abs(found.points - end).max(axis=1).min() < 1e-6


def _sets(m: int) -> list[tuple[int, ...]]:
    return list(np.ndindex(*(2,) * m))


def test_a_curve_and_a_double_root_are_said_not_to_be_complete() -> None:
    curve = corners(lambda x, y: x - 0.5, lambda x, y: 2 * x - 1)
    assert not roots_in_cube(curve).complete
    double = corners(lambda x, y: x + y - 1, lambda x, y: x * y - 0.25)
    found = roots_in_cube(double)
    assert not found.complete
    assert np.abs(found.points - 0.5).max(axis=1).min() < 1e-4
    assert not roots_in_cube(np.zeros((2, 2, 2))).complete
