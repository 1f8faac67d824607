"""Do cosines between the axioms' directions, their intervals and their ceiling say what is so?"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from mahals.maths.vectors.axioms import agreement, axiom_directions
from mahals.maths.vectors.estimators import mean_difference
from mahals.records import InputError

NAMES = ("first", "second", "third")
SHIFTS = np.array([[3.0, 0, 0, 0], [-2.0, 2.0, 0, 0], [0, 0, 2.0, 0]])


def sample(seed: int, n: int = 12) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """States (3 n, 2 blocks, 4), the axioms taking turns; block 1 has no signal."""
    rng = np.random.default_rng(seed)
    axioms = list(NAMES) * n
    base = rng.standard_normal((3 * n, 2, 4))
    aligned = base + rng.standard_normal((3 * n, 2, 4))
    aligned[:, 0] += SHIFTS[[NAMES.index(a) for a in axioms]]
    return aligned, base, axioms


def test_each_direction_is_the_mean_difference_of_its_own_pairs() -> None:
    a, b, axioms = sample(0)
    found = axiom_directions(a, b, axioms, NAMES)
    for i, name in enumerate(NAMES):
        own = [k for k, axiom in enumerate(axioms) if axiom == name]
        one = mean_difference(a[own], b[own])
        np.testing.assert_allclose(found.values[i], one.values, rtol=1e-6)
        halves = [np.diag(cosine_similarity(*found.halves[:, i])), one.split_half]
        np.testing.assert_allclose(*halves, rtol=1e-5)
        reliability = [agreement(found, block).reliability[i] for block in (0, 1)]
        np.testing.assert_allclose(reliability, one.split_half, rtol=1e-5)
    assert found.pairs.tolist() == [12, 12, 12]
    cosine = [[c.estimate for c in row] for row in agreement(found, 0).cosine]
    np.testing.assert_allclose(cosine, cosine_similarity(found.values[:, 0]), atol=1e-6)


def test_the_order_of_pairs_and_of_names_and_a_rotation_change_nothing() -> None:
    a, b, axioms = sample(1)
    plain = agreement(axiom_directions(a, b, axioms, NAMES), 0)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    turned = agreement(axiom_directions(3 * a @ turn, 3 * b @ turn, axioms, NAMES), 0)
    back = agreement(axiom_directions(a, b, axioms, NAMES[::-1]), 0)
    for i in range(3):
        for j in range(3):
            one = plain.cosine[i][j]
            for other in (turned.cosine[i][j], back.cosine[2 - i][2 - j]):
                assert other.estimate == pytest.approx(one.estimate, abs=1e-5)
                assert other.low == pytest.approx(one.low, abs=1e-4)


def test_conflict_is_found_where_it_was_planted_and_nowhere_else() -> None:
    found = agreement(axiom_directions(*sample(2, n=30), NAMES), 0)
    assert found.opposed == ((0, 1),) and found.apart[0] == (0, 1)
    assert found.cosine[0][1].estimate == pytest.approx(-np.sqrt(0.5), abs=0.15)
    assert found.cosine[0][2].low < 0 < found.cosine[0][2].high
    own = found.reliability
    assert found.ceiling[0][1] == pytest.approx(np.sqrt(own[0] * own[1]))
    noise = agreement(axiom_directions(*sample(2, n=30), NAMES), 1)
    assert noise.opposed == ()
    none = [i for i, r in enumerate(noise.reliability) if r is None or r <= 0]
    assert all(noise.ceiling[i] == (None, None, None) for i in none)


def test_the_interval_is_as_wide_as_repetitions_are_apart() -> None:
    """A second way: the spread of the cosine over 300 data sets, and how often 95 % hold it."""
    truth = -np.sqrt(0.5)
    runs = [agreement(axiom_directions(*sample(s), NAMES), 0).cosine[0][1] for s in range(300)]
    spread = float(np.std([r.estimate for r in runs]))
    assert np.mean([r.standard_error for r in runs]) == pytest.approx(spread, rel=0.15)
    assert 0.90 <= np.mean([r.low <= truth <= r.high for r in runs]) <= 0.99
    assert all(-1 <= r.low <= r.high <= 1 for r in runs)


def test_a_half_of_length_zero_has_no_reliability() -> None:
    a, b, axioms = sample(3, n=2)
    a[:3] = b[:3]  # the even pair of each axiom: nothing moved
    found = agreement(axiom_directions(a, b, axioms, NAMES), 0)
    assert found.reliability == (None, None, None)
    assert found.ceiling[0] == (None, None, None)


def test_bad_input_is_refused() -> None:
    a, b, axioms = sample(4)
    one = ["first", "second", *["third"] * (len(axioms) - 2)]
    with pytest.raises(InputError, match="1 of first, 1 of second"):
        axiom_directions(a, b, one, NAMES)
    with pytest.raises(InputError, match="0 of fourth"):
        axiom_directions(a, b, axioms, (*NAMES, "fourth"))
    with pytest.raises(InputError, match="nan"):
        axiom_directions(np.where(a > 3, np.nan, a), b, axioms, NAMES)
    with pytest.raises(InputError, match="no difference for first"):
        axiom_directions(a, a, axioms, NAMES)
    with pytest.raises(InputError, match="axiom of each pair"):
        axiom_directions(a, b, axioms[1:], NAMES)
