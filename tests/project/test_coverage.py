"""Do AQI's intervals hold the truth as often as they claim, and does the page say what they do?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.metrics.aqi import axiom_aqi
from mahals.maths.stats.intervals import paired_difference
from tests.support.coverage_study import (
    LEVELS,
    REPETITIONS,
    bootstrap,
    jackknife,
    measure,
    noise,
    parts,
    read,
    scores,
    shift_of,
)
from tests.support.places import ROOT

TABLE = ROOT / "docs" / "studies" / "coverage.csv"


@pytest.mark.parametrize(("n", "d"), [(28, 8), (12, 128)])  # as drawn; rotated to 2n + 1 axes
def test_the_simulation_computes_what_the_package_does(n: int, d: int) -> None:
    rng = np.random.default_rng(0)
    both = noise(n, d, 5, rng)
    labels = np.arange(n) % 2
    shifted = both.copy()
    shifted[..., 0] += 3.0 * np.tile(labels, 2)
    for arm in (slice(0, n), slice(n, 2 * n)):
        values, influence = scores(parts(both[:, arm]), 3.0)
        for i in range(5):
            found = axiom_aqi(shifted[i, arm], labels, None)
            assert values[i] == pytest.approx(found.aqi.estimate, abs=1e-9)
            np.testing.assert_allclose(influence[i], found.influence, atol=1e-9)


def test_rotated_states_have_the_scores_of_those_drawn_in_full() -> None:
    """Same mean, spread and error of the score, in 25 axes as in 128."""
    rng, n, d = np.random.default_rng(1), 12, 128
    found = []
    for states in (noise(n, d, 4000, rng), rng.standard_normal((4000, 2 * n, d))):
        z = (states[:, :n] + states[:, n:]) / np.sqrt(2)
        (a, own), (b, _) = (scores(parts(x), shift_of(20, d)) for x in (states[:, :n], z))
        error = np.sqrt((own**2).sum(1) / (n * (n - 1)))
        found.append([a.mean(), a.std(), (a - b).std(), error.mean(), np.corrcoef(a, b)[0, 1]])
    np.testing.assert_allclose(found[0], found[1], rtol=0.04)


def held(cells: dict[int, tuple[float, float]], slack: float) -> None:
    for aqi, shares in cells.items():
        assert min(shares) >= 0.91 - slack
        if aqi >= 20:
            assert max(shares) <= 0.97 + slack


@pytest.mark.parametrize(("d", "n"), [(8, 28), (8, 200), (128, 28), (1024, 28)])
def test_intervals_hold_the_truth(d: int, n: int) -> None:
    held(jackknife(d, n, REPETITIONS, 0), 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("d", [8, 128, 1024])
@pytest.mark.parametrize("n", [28, 60, 200])
def test_intervals_hold_the_truth_everywhere(d: int, n: int) -> None:
    held(jackknife(d, n, REPETITIONS, 0), 0.0)
    other = jackknife(d, n, REPETITIONS, 1)  # and of other data, but for chance
    held(other, 2 * np.sqrt(0.97 * 0.03 / REPETITIONS))


def test_the_paired_interval_of_the_simulation_is_the_packages() -> None:
    both = noise(20, 8, 1, np.random.default_rng(2))[0]
    labels = np.arange(20) % 2
    one, two = both[:20], (both[:20] + both[20:]) / np.sqrt(2)
    a, b = (axiom_aqi(x, labels, None) for x in (one, two))
    found = paired_difference(a.influence, b.influence, a.aqi.estimate, b.aqi.estimate, None)
    error = np.sqrt(((a.influence - b.influence) ** 2).sum() / (20 * 19))
    assert found.standard_error == pytest.approx(error)


def test_the_percentile_bootstrap_misses_in_many_dimensions() -> None:
    assert bootstrap(128, 28, 30, 3)[0][0] == 0.0


def test_the_stored_table_is_the_whole_grid_and_within_the_bars() -> None:
    rows = read(TABLE)
    assert [(r.d, r.n, r.aqi) for r in rows] == [
        (d, n, aqi) for d in (8, 128, 1024) for n in (28, 60, 200) for aqi in LEVELS
    ]
    assert min(min(r.level, r.gain) for r in rows) >= 0.91
    assert max(max(r.level, r.gain) for r in rows if r.aqi >= 20) <= 0.97
    assert max(r.percentile for r in rows if r.d >= 128 and r.aqi <= 2) <= 0.5
    one = jackknife(8, 28, REPETITIONS, 0)
    assert all((r.level, r.gain) == pytest.approx(one[r.aqi]) for r in rows[: len(LEVELS)])


@pytest.mark.slow
def test_the_stored_table_is_what_the_simulation_gives() -> None:
    for stored, again in zip(read(TABLE), measure(REPETITIONS, 100), strict=True):
        assert vars(stored) == pytest.approx(vars(again), abs=0.002)
