"""Do the maps find a planted correspondence, find none where there is none, and refuse the trap?"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from mahals.records import InputError
from mahals.transfer import ALPHAS, KINDS, fit_map, fit_shuffled, match_layer, move

D = 12


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def planted(n: int, d_s: int, d_t: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source states of unequal spread, their image under a hidden map, and that map."""
    rng = np.random.default_rng(seed)
    source = rng.standard_normal((n, d_s)) * np.linspace(3, 1, d_s) + 5.0
    turn = np.linalg.qr(rng.standard_normal((max(d_s, d_t),) * 2))[0][:d_s, :d_t]
    return source, source @ turn + 0.05 * rng.standard_normal((n, d_t)) - 9.0, turn


@pytest.mark.parametrize("kind", ["ridge", "procrustes"])
@pytest.mark.parametrize(("d_s", "d_t"), [(D, D), (D, 20)])
def test_a_planted_rotation_is_found(kind: str, d_s: int, d_t: int) -> None:
    source, target, turn = planted(400, d_s, d_t, 0)
    found = fit_map(kind, source, target, 0)  # type: ignore[arg-type]
    vector = np.random.default_rng(1).standard_normal(d_s)
    moved = move(found, vector, 2.5)
    assert cosine(moved, vector @ turn) > 0.99
    assert np.linalg.norm(moved) == pytest.approx(2.5)
    assert found.r2_held_out is not None
    assert found.r2_held_out > 0.95
    assert (found.rows, found.matrix.shape) == (400, (d_s, d_t))


@pytest.mark.parametrize("kind", ["ridge", "procrustes"])
def test_without_correspondence_nothing_is_carried(kind: str) -> None:
    source, target, turn = planted(2000, 64, 64, 2)
    vector = np.random.default_rng(3).standard_normal(64)
    cosines = []
    for seed in range(5):
        found = fit_shuffled(kind, source, target, seed)  # type: ignore[arg-type]
        assert found.shuffled
        assert found.r2_held_out is not None
        assert found.r2_held_out < 0.05
        cosines.append(cosine(move(found, vector, 1.0), vector @ turn))
    assert abs(np.mean(cosines)) < 0.3
    random = np.random.default_rng(4).standard_normal((2000, 64))
    unrelated = fit_map(kind, source, random, 0)  # type: ignore[arg-type]
    assert unrelated.r2_held_out is not None
    assert unrelated.r2_held_out < 0.05


def test_the_trap_a_map_fitted_on_the_steering_pairs_is_refused() -> None:
    rng = np.random.default_rng(0)
    pairs, d = 40, 128
    source, target = rng.standard_normal((2, 2 * pairs, d))  # two spaces that share nothing
    own_s = source[:pairs].mean(0) - source[pairs:].mean(0)
    own_t = target[:pairs].mean(0) - target[pairs:].mean(0)
    trap = np.linalg.lstsq(source, target, rcond=None)[0]
    assert cosine(own_s @ trap, own_t) == pytest.approx(1.0, abs=1e-9)
    for kind in ("ridge", "procrustes"):
        with pytest.raises(InputError, match="at least 1280"):
            fit_map(kind, source, target, 0)  # type: ignore[arg-type]
        repeated = np.tile(source, (16, 1)), np.tile(target, (16, 1))
        with pytest.raises(InputError, match="rank 79"):
            fit_map(kind, *repeated, 0)  # type: ignore[arg-type]


def test_ridge_is_scikit_learns_at_the_chosen_penalty_and_chooses_well() -> None:
    source, target, _ = planted(200, D, 7, 5)
    target = target + 3 * np.random.default_rng(6).standard_normal(target.shape)
    found = fit_map("ridge", source, target, 9)
    order = np.random.default_rng(9).permutation(200)
    held, kept = order[:40], order[40:]
    unit = ((source[kept] - source[kept].mean(0)) ** 2).sum() / D
    assert found.alpha in ALPHAS
    other = Ridge(alpha=found.alpha * unit).fit(source[kept], target[kept])
    np.testing.assert_allclose(found.matrix, other.coef_.T, atol=1e-8)
    errors = []
    for alpha in ALPHAS:
        total = 0.0
        for rows in np.array_split(np.arange(160), 5):
            rest = np.setdiff1d(np.arange(160), rows)
            mean_x, mean_y = source[kept].mean(0), target[kept].mean(0)
            fit = Ridge(alpha=alpha * unit, fit_intercept=False).fit(
                source[kept][rest] - mean_x, target[kept][rest] - mean_y
            )
            fitted = fit.predict(source[kept][rows] - mean_x)
            total += ((target[kept][rows] - mean_y - fitted) ** 2).sum()
        errors.append(total)
    assert found.alpha == ALPHAS[int(np.argmin(errors))]
    truth = target[held] - target[kept].mean(0)
    r2 = 1 - ((target[held] - other.predict(source[held])) ** 2).sum() / (truth**2).sum()
    assert found.r2_held_out == pytest.approx(r2)


def test_only_the_linear_part_moves_a_difference() -> None:
    source, target, _ = planted(300, D, D, 7)
    vector = np.random.default_rng(8).standard_normal(D)
    for kind in KINDS:
        near = move(fit_map(kind, source, target, 0), vector, 1.0)
        far = move(fit_map(kind, source + 1e3, target - 1e3, 0), vector, 1.0)
        np.testing.assert_allclose(near, far, atol=1e-6)
        back = move(fit_map(kind, source, target, 0), -vector, 1.0)
        np.testing.assert_allclose(back, -near)


def test_identity_and_pad() -> None:
    source, target, _ = planted(30, 4, 6, 0)
    v = np.array([1.0, 2.0, 3.0, 4.0])
    wide, narrow = fit_map("pad", source, target, 0), fit_map("pad", target, source, 0)
    np.testing.assert_allclose(move(wide, v, np.sqrt(30)), [1, 2, 3, 4, 0, 0])
    np.testing.assert_allclose(move(narrow, [1, 2, 3, 4, 5, 6], np.sqrt(30)), v)
    same = fit_map("identity", source, source, 0)
    np.testing.assert_allclose(move(same, v, 1.0), v / np.sqrt(30))
    assert same.r2_held_out == pytest.approx(1.0)
    with pytest.raises(InputError, match="equal width"):
        fit_map("identity", source, target, 0)
    with pytest.raises(InputError, match="use another map"):
        move(narrow, [0, 0, 0, 0, 1, 1], 1.0)


def test_layers_match_by_relative_depth() -> None:
    assert [match_layer(b, 6, 6) for b in range(6)] == [0, 1, 2, 3, 4, 5]
    assert match_layer(31, 32, 28) == 27
    assert match_layer(2, 4, 8) == 5  # three quarters of the way
    assert match_layer(0, 4, 2) == 0
    assert match_layer(2, 4, 2) == 0  # .75 lies between .5 and 1: the lower one
    for bad in (-1, 4):
        with pytest.raises(InputError, match="0 to 3"):
            match_layer(bad, 4, 8)


def test_bad_input_is_refused() -> None:
    source, target, _ = planted(200, D, D, 0)
    with pytest.raises(InputError, match="same n"):
        fit_map("ridge", source[:100], target, 0)
    with pytest.raises(InputError, match="nan"):
        fit_map("ridge", np.where(source > 12, np.nan, source), target, 0)
    with pytest.raises(InputError, match="d_s = d_t = 1"):
        fit_map("pad", source[:, :1], target[:, :1], 0)
    with pytest.raises(InputError, match="at least 120"):
        fit_map("ridge", source[:119], target[:119], 0)
    with pytest.raises(InputError, match="did you mean 'ridge'"):
        fit_map("rigde", source, target, 0)  # type: ignore[arg-type]
    flat = np.column_stack([source[:, :-1], np.ones(200)])
    with pytest.raises(InputError, match="rank 11"):
        fit_map("ridge", flat, target, 0)
    found = fit_map("ridge", source, target, 0)
    with pytest.raises(InputError, match="12 finite numbers"):
        move(found, np.ones(3), 1.0)
    with pytest.raises(InputError, match="norm above 0"):
        move(found, np.ones(D), 0.0)
