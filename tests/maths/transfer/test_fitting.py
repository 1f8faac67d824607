"""Do the maps find a planted correspondence, find none where there is none, and refuse the trap?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mahals.maths.transfer.fitting import KINDS, MapKind, fit_map, fit_shuffled, move
from mahals.records import InputError
from tests.support.planted_spaces import D, cosine, planted

FITTED: tuple[MapKind, ...] = ("ridge", "procrustes", "mlp", "anchors")
STRAIGHT: tuple[MapKind, ...] = ("ridge", "procrustes", "anchors")  # quick ones


@pytest.mark.parametrize("kind", FITTED)
@pytest.mark.parametrize(("d_s", "d_t"), [(D, D), (D, 20)])
def test_a_planted_rotation_is_found(kind: MapKind, d_s: int, d_t: int) -> None:
    source, target, turn = planted(400, d_s, d_t, 0)
    found = fit_map(kind, source, target, 0, None)
    vector = np.random.default_rng(1).standard_normal(d_s)
    moved = move(found, vector, 2.5)
    assert cosine(moved, vector @ turn) > 0.99
    assert np.linalg.norm(moved) == pytest.approx(2.5)
    assert found.r2_held_out is not None and found.r2_linear is not None
    assert min(found.r2_held_out, found.r2_linear) > 0.95
    fitted = 304 if kind == "mlp" else 320  # a twentieth of 320 rows validates
    assert (found.rows, found.fitted, found.matrix.shape) == (400, fitted, (d_s, d_t))


@pytest.mark.parametrize("kind", ["ridge", "mlp"])
def test_a_planted_relation_that_stretches_is_found(kind: MapKind) -> None:
    """Procrustes and anchors keep angles, so a stretch is none of theirs."""
    rng = np.random.default_rng(0)
    source = rng.standard_normal((400, D))
    relation = rng.standard_normal((D, 10))
    vector = rng.standard_normal(D)
    found = fit_map(kind, source, source @ relation + 3, 0, None)
    assert cosine(move(found, vector, 1.0), vector @ relation) > 0.95


@pytest.mark.parametrize("kind", FITTED)
def test_without_correspondence_nothing_is_carried(kind: MapKind) -> None:
    source, target, turn = planted(1000, 48, 48, 2)
    vector = np.random.default_rng(3).standard_normal(48)
    cosines = []
    for seed in range(1 if kind == "mlp" else 5):
        found = fit_shuffled(kind, source, target, seed, None)
        assert found.shuffled
        assert found.r2_held_out is not None
        assert found.r2_held_out < 0.02
        cosines.append(cosine(move(found, vector, 1.0), vector @ turn))
    assert abs(np.mean(cosines)) < 0.35
    random = np.random.default_rng(4).standard_normal((1000, 48))
    unrelated = fit_map(kind, source, random, 0, None)
    assert unrelated.r2_held_out is not None
    assert unrelated.r2_held_out < 0.02


def test_the_trap_a_map_fitted_on_the_steering_pairs_is_refused() -> None:
    rng = np.random.default_rng(0)
    pairs, d = 40, 128
    source, target = rng.standard_normal((2, 2 * pairs, d))  # two spaces that share nothing
    own_s = source[:pairs].mean(0) - source[pairs:].mean(0)
    own_t = target[:pairs].mean(0) - target[pairs:].mean(0)
    trap = np.linalg.lstsq(source, target, rcond=None)[0]
    assert cosine(own_s @ trap, own_t) == pytest.approx(1.0, abs=1e-9)
    for kind in FITTED:
        with pytest.raises(InputError, match="at least 1280 after the hold-out"):
            fit_map(kind, source, target, 0, None)
        repeated = np.tile(source, (22, 1)), np.tile(target, (22, 1))
        with pytest.raises(InputError, match="rank 79"):
            fit_map(kind, *repeated, 0, None)


def test_rows_are_counted_after_the_hold_out_and_the_missing_ones_are_named() -> None:
    source, target, _ = planted(200, D, D, 0)
    assert fit_map("ridge", source[:150], target[:150], 0, None).fitted == 120
    with pytest.raises(InputError, match=r"got 115; raise datasets\.texts_per_split by 7"):
        fit_map("ridge", source[:144], target[:144], 0, None)
    assert fit_map("ridge", source[:151], target[:151], 0, None).fitted >= 120


def test_the_rows_that_validate_an_mlp_are_not_counted() -> None:
    source, target, _ = planted(200, D, D, 0)
    assert fit_map("mlp", source[:160], target[:160], 0, None).fitted == 128 - 6
    with pytest.raises(InputError, match=r"got 114; raise datasets\.texts_per_split by 8"):
        fit_map("mlp", source[:150], target[:150], 0, None)


def test_a_cluster_is_never_on_both_sides_of_the_hold_out() -> None:
    """Thirty prompts, each ten times over, and targets without any relation to them: by rows the
    held-out ones are known by heart."""
    rng = np.random.default_rng(5)
    clusters = np.repeat(np.arange(60), 10)
    source = rng.standard_normal((60, 20))[clusters] + 0.01 * rng.standard_normal((600, 20))
    target = rng.standard_normal((60, 20))[clusters] + 0.01 * rng.standard_normal((600, 20))
    leaked = fit_map("ridge", source, target, 0, None)
    honest = fit_map("ridge", source, target, 0, [f"c{c}" for c in clusters])
    assert leaked.r2_held_out is not None and honest.r2_held_out is not None
    assert leaked.r2_held_out > 0.2
    assert honest.r2_held_out < 0.05


def test_only_the_linear_part_moves_a_difference() -> None:
    source, target, _ = planted(300, D, D, 7)
    vector = np.random.default_rng(8).standard_normal(D)
    for kind in KINDS:
        tolerance = 1e-3 if kind == "mlp" else 1e-6  # it is fitted in float32
        near = move(fit_map(kind, source, target, 0, None), vector, 1.0)
        far = move(fit_map(kind, source + 1e3, target - 1e3, 0, None), vector, 1.0)
        np.testing.assert_allclose(near, far, atol=tolerance)
        back = move(fit_map(kind, source, target, 0, None), -vector, 1.0)
        np.testing.assert_allclose(back, -near)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(0.01, 100))
def test_another_basis_and_scale_of_either_side_changes_nothing(seed: int, scale: float) -> None:
    """What `move` gives is the same vector, written in the target's new basis."""
    source, target, _ = planted(260, 8, 11, seed)
    target = target + np.random.default_rng(seed).standard_normal(target.shape)
    rng = np.random.default_rng([seed, 1])
    q = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    r = np.linalg.qr(rng.standard_normal((11, 11)))[0]
    vector = rng.standard_normal(8)
    for kind in STRAIGHT:
        plain = move(fit_map(kind, source, target, 0, None), vector, 1.0)
        turned = move(
            fit_map(kind, scale * source @ q, target @ r / scale, 0, None), vector @ q, 1.0
        )
        np.testing.assert_allclose(turned, plain @ r, atol=1e-6)


def test_identity_and_pad() -> None:
    source, target, _ = planted(30, 4, 6, 0)
    v = np.array([1.0, 2.0, 3.0, 4.0])
    wide, narrow = fit_map("pad", source, target, 0, None), fit_map("pad", target, source, 0, None)
    np.testing.assert_allclose(move(wide, v, np.sqrt(30)), [1, 2, 3, 4, 0, 0])
    np.testing.assert_allclose(move(narrow, [1, 2, 3, 4, 5, 6], np.sqrt(30)), v)
    same = fit_map("identity", source, source, 0, None)
    np.testing.assert_allclose(move(same, v, 1.0), v / np.sqrt(30))
    assert same.r2_held_out == pytest.approx(1.0)
    with pytest.raises(InputError, match="equal width"):
        fit_map("identity", source, target, 0, None)
    with pytest.raises(InputError, match="use another map"):
        move(narrow, [0, 0, 0, 0, 1, 1], 1.0)


@pytest.mark.parametrize("kind", FITTED)
def test_bad_input_is_refused(kind: MapKind) -> None:
    source, target, _ = planted(200, D, D, 0)
    with pytest.raises(InputError, match="same n"):
        fit_map(kind, source[:100], target, 0, None)
    with pytest.raises(InputError, match="same n"):
        fit_map(kind, source[:1], target[:1], 0, None)
    with pytest.raises(InputError, match="nan"):
        fit_map(kind, np.where(source > 12, np.nan, source), target, 0, None)
    with pytest.raises(InputError, match="d_s = d_t = 1"):
        fit_map(kind, source[:, :1], target[:, :1], 0, None)
    with pytest.raises(InputError, match="at least 120"):
        fit_map(kind, source[:119], target[:119], 0, None)
    with pytest.raises(InputError, match="two or more in all"):
        fit_map(kind, source, target, 0, ["one"] * 200)
    with pytest.raises(InputError, match="199 names"):
        fit_map(kind, source, target, 0, list(range(199)))
    flat = np.column_stack([source[:, :-1], np.ones(200)])
    with pytest.raises(InputError, match="rank 11"):
        fit_map(kind, flat, target, 0, None)


def test_bad_names_vectors_and_clusters_are_refused() -> None:
    source, target, _ = planted(200, D, D, 0)
    with pytest.raises(InputError, match="did you mean 'ridge'"):
        fit_map("rigde", source, target, 0, None)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at least 5 clusters"):
        fit_map("ridge", source, target, 0, [i // 50 for i in range(200)])
    found = fit_map("ridge", source, target, 0, None)
    with pytest.raises(InputError, match="12 finite numbers"):
        move(found, np.ones(3), 1.0)
    with pytest.raises(InputError, match="norm above 0"):
        move(found, np.ones(D), 0.0)
