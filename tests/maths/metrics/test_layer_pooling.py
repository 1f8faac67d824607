"""Is sparsemax the projection on the simplex, and do the weights find the layer that tells?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from mahals.maths.metrics.aqi import model_aqi
from mahals.maths.metrics.layer_pooling import fit_pooling, sparsemax
from mahals.records import InputError

LOGITS = st.lists(st.floats(-5, 5), min_size=1, max_size=6)


@given(LOGITS)
@settings(max_examples=40, deadline=None)
def test_sparsemax_is_the_nearest_point_of_the_simplex(logits: list[float]) -> None:
    z = np.array(logits)
    found = sparsemax(z)
    solved = minimize(
        lambda w: ((w - z) ** 2).sum(),
        np.full(len(z), 1 / len(z)),
        jac=lambda w: 2 * (w - z),
        method="SLSQP",
        bounds=[(0, 1)] * len(z),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    np.testing.assert_allclose(found, solved.x, atol=1e-5)
    assert found.min() >= 0 and found.sum() == pytest.approx(1)


@given(LOGITS, st.floats(-100, 100))
@settings(max_examples=40, deadline=None)
def test_sparsemax_ignores_a_shift_and_leaves_the_simplex_alone(
    logits: list[float], shift: float
) -> None:
    z = np.array(logits)
    np.testing.assert_allclose(sparsemax(z + shift), sparsemax(z), atol=1e-9)
    np.testing.assert_allclose(sparsemax(sparsemax(z)), sparsemax(z), atol=1e-12)
    assert (np.argsort(sparsemax(z)[np.argsort(z)], kind="stable") == np.arange(len(z))).all()


def test_sparsemax_by_hand() -> None:
    np.testing.assert_allclose(sparsemax([1.0, 0.5, -1.0]), [0.75, 0.25, 0.0])
    np.testing.assert_allclose(sparsemax([3.0, 0.0]), [1.0, 0.0])


def layered(seed: int, gaps: list[float], n: int = 80, d: int = 12) -> tuple[np.ndarray, ...]:
    """States (2n, L, d) of two axioms; layer l holds the labels `gaps[l]` apart, at scale 10^l."""
    rng = np.random.default_rng(seed)
    labels = np.tile([0, 1], n)
    states = rng.standard_normal((2 * n, len(gaps), d))
    states[:, :, 0] += labels[:, None] * np.array(gaps)
    return states * 10.0 ** np.arange(len(gaps))[None, :, None], labels, np.repeat(["a", "b"], n)


def test_the_layer_that_tells_is_found_whatever_the_norms() -> None:
    x, y, axioms = layered(0, [0.0, 6.0, 0.0, 0.0])
    found = fit_pooling(x, y, list(axioms))
    assert found.weights.argmax() == 1 and found.weights[1] > 0.9
    assert found.weights.sum() == pytest.approx(1)
    held, y2, axioms2 = layered(1, [0.0, 6.0, 0.0, 0.0])
    pooled = model_aqi(found.apply(held), y2, list(axioms2), None).aqi.estimate
    last = model_aqi(held[:, -1], y2, list(axioms2), None).aqi.estimate
    assert pooled > 25 > last + 15


def test_layers_that_tell_independently_are_mixed_and_beat_each_alone() -> None:
    x, y, axioms = layered(2, [4.0, 4.0, 0.0])
    found = fit_pooling(x, y, list(axioms))
    assert found.weights[:2] == pytest.approx([0.5, 0.5], abs=0.1)
    held, y2, axioms2 = layered(3, [4.0, 4.0, 0.0])
    one = model_aqi(held[:, 0], y2, list(axioms2), None).aqi.estimate
    assert model_aqi(found.apply(held), y2, list(axioms2), None).aqi.estimate > one + 5


def test_no_mixture_on_a_grid_does_better_by_more_than_a_hundredth() -> None:
    """The loss by its definition, on the pooled states themselves."""
    x, y, axioms = layered(4, [2.0, 3.0, 1.0])
    found = fit_pooling(x, y, list(axioms))
    spread = found.weights[found.weights > 0] / found.factors[found.weights > 0]
    assert spread == pytest.approx(
        np.sqrt(((x - x.mean(0)) ** 2).sum(2).mean(0))[found.weights > 0]
    )

    def distance(weights: np.ndarray) -> float:
        z = x - x.mean(0)
        z = z / np.sqrt((z**2).sum(2).mean(0))[None, :, None]
        pooled = np.einsum("nld,l->nd", z, weights)
        size = np.sqrt((pooled**2).sum(1).mean())
        each = [
            np.linalg.norm(
                pooled[(axioms == a) & (y == 1)].mean(0) - pooled[(axioms == a) & (y == 0)].mean(0)
            )
            for a in "ab"
        ]
        return float(np.mean(each) / size)

    assert found.distance == pytest.approx(distance(found.weights), abs=1e-9)
    grid = [np.array([i, j, 20 - i - j]) / 20 for i in range(21) for j in range(21 - i)]
    assert found.distance >= max(map(distance, grid)) - 0.01


@pytest.mark.slow
def test_a_pooling_that_learned_from_noise_has_nothing_to_show_on_other_prompts() -> None:
    scores = []
    for seed in range(20):
        x, y, axioms = layered(10 + seed, [0.0] * 5, n=40)
        held, y2, axioms2 = layered(1000 + seed, [0.0] * 5, n=40)
        pooled = fit_pooling(x, y, list(axioms)).apply(held)
        scores.append(model_aqi(pooled, y2, list(axioms2), None).aqi.estimate)
    assert abs(np.mean(scores)) < 3 * np.std(scores) / np.sqrt(20)


X, Y, AXIOMS = layered(5, [1.0, 2.0], n=6)
BAD = {
    "no layers": (X[:, 0], Y, AXIOMS),
    "one label": (X, np.ones(12, int), AXIOMS),
    "an axiom with one label": (X, np.r_[np.ones(6, int), Y[6:]], AXIOMS),
    "nan": (np.where(X > 1, np.nan, X), Y, AXIOMS),
    "a constant layer": (X * [[[1.0], [0.0]]], Y, AXIOMS),
    "one prompt": (X[:1], Y[:1], AXIOMS[:1]),
    "no prompt": (X[:0], Y[:0], AXIOMS[:0]),
    "axioms of another length": (X, Y, AXIOMS[:-1]),
    "other labels": (X, Y + 1, AXIOMS),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case: str) -> None:
    states, labels, axioms = BAD[case]
    with pytest.raises(InputError, match="layer pooling"):
        fit_pooling(states, labels, list(axioms))


def test_weights_belong_to_their_layers() -> None:
    with pytest.raises(InputError, match=r"\(n, 2, d\)"):
        fit_pooling(X, Y, list(AXIOMS)).apply(X[:, :1])
    with pytest.raises(InputError, match="logits"):
        sparsemax([1.0, np.nan])
    with pytest.raises(InputError, match="logits"):
        sparsemax([])
