"""Do the maps find a planted correspondence, find none where there is none, and refuse the trap?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import cosine_similarity

from mahals.maths.transfer.fitting import KINDS, MapKind, fit_map, fit_shuffled, move
from mahals.maths.transfer.linear import ALPHAS
from mahals.maths.transfer.mlp import fit_mlp
from mahals.maths.transfer.rows import in_folds, split_sides
from mahals.records import InputError

D = 12
FITTED: tuple[MapKind, ...] = ("ridge", "procrustes", "mlp", "anchors")
STRAIGHT: tuple[MapKind, ...] = ("ridge", "procrustes", "anchors")  # quick ones


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def planted(n: int, d_s: int, d_t: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Source states of unequal spread, their image under a hidden rotation, and that map."""
    rng = np.random.default_rng(seed)
    source = rng.standard_normal((n, d_s)) * np.linspace(3, 1, d_s) + 5.0
    turn = np.linalg.qr(rng.standard_normal((max(d_s, d_t),) * 2))[0][:d_s, :d_t]
    return source, source @ turn + 0.05 * rng.standard_normal((n, d_t)) - 9.0, turn


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


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=12, max_size=30),
    seed=st.integers(0, 1000),
)
def test_split_and_folds_keep_clusters_whole(sizes: list[int], seed: int) -> None:
    groups = [f"c{i}" for i, size in enumerate(sizes) for _ in range(size)]
    n = len(groups)
    shuffled = np.random.default_rng(seed).permutation(n)
    groups = [groups[i] for i in shuffled]
    rows = np.column_stack([np.arange(n), np.arange(n) ** 2]).astype(float)
    sides = split_sides(rows, rows, groups, seed)
    np.testing.assert_allclose(sides.source.mean(axis=0), 0, atol=1e-6)
    assert len(sides.source) + len(sides.held_source) == n
    assert len(sides.held_source) <= max(max(sizes), round(0.2 * n))
    # which row is which: their order survives the centring
    order = np.concatenate([sides.held_source, sides.source])[:, 0]
    back = np.argsort(np.argsort(order))
    held = {groups[i] for i in back[: len(sides.held_source)]}
    kept = [groups[i] for i in back[len(sides.held_source) :]]
    assert not held & set(kept)
    fold = in_folds(sides.clusters, 5)
    by_cluster = {(g, f) for g, f in zip(kept, fold, strict=True)}
    assert len(by_cluster) == len(set(kept)) and set(fold) <= set(range(5))


def test_ridge_is_scikit_learns_at_the_chosen_penalty_and_chooses_well() -> None:
    source, target, _ = planted(200, D, 7, 5)
    target = target + 3 * np.random.default_rng(6).standard_normal(target.shape)
    found = fit_map("ridge", source, target, 9, None)
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


def test_procrustes_is_scipys_between_equal_widths() -> None:
    source, target, _ = planted(300, D, D, 5)
    target = target + np.random.default_rng(6).standard_normal(target.shape)
    kept = np.random.default_rng(3).permutation(300)[60:]
    x, y = source[kept] - source[kept].mean(0), target[kept] - target[kept].mean(0)
    turn, size = orthogonal_procrustes(x, y)
    expected = turn * size / (x**2).sum()
    np.testing.assert_allclose(fit_map("procrustes", source, target, 3, None).matrix, expected)


def test_anchors_give_the_direction_with_the_same_similarities() -> None:
    """Relative representations by another road: the cosines to the anchors, before and after."""
    source, target, _ = planted(600, D, D, 6)
    found = fit_map("anchors", source, target, 0, None)
    assert found.rank == 4 * D
    vector = np.random.default_rng(7).standard_normal(D)
    moved = move(found, vector, 1.0)
    theirs = cosine_similarity(vector[None], source - source.mean(0))[0]
    ours = cosine_similarity(moved[None], target - target.mean(0))[0]
    assert np.corrcoef(theirs, ours)[0, 1] > 0.999
    np.testing.assert_allclose(theirs, ours, atol=0.05)


def test_anchors_stand_states_that_lie_in_few_directions() -> None:
    """As states of real models do; an inversion of too little penalty carries noise alone."""
    rng = np.random.default_rng(9)
    spread = np.geomspace(30, 0.03, 20)
    source = rng.standard_normal((600, 20)) * spread
    turn = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    target = source @ turn + 0.3 * rng.standard_normal((600, 20))
    found = fit_map("anchors", source, target, 0, None)
    assert found.alpha is not None and found.alpha > 1e-5
    assert found.r2_held_out is not None and found.r2_held_out > 0.9


def test_an_mlp_finds_a_bent_relation_and_moves_by_its_mean_derivative() -> None:
    rng = np.random.default_rng(8)
    source = 1.5 * rng.standard_normal((800, 4))
    mix, out = rng.standard_normal((4, 4)), rng.standard_normal((4, 5))
    target = np.tanh(source @ mix) @ out
    bent = fit_map("mlp", source, target, 0, None)
    straight = fit_map("ridge", source, target, 0, None)
    assert bent.r2_held_out is not None and straight.r2_held_out is not None
    assert bent.r2_held_out > straight.r2_held_out + 0.02
    assert bent.r2_linear is not None and bent.r2_linear < bent.r2_held_out
    assert bent.rank == round(np.sqrt(4 * 5))
    sides = split_sides(source, target, None, 0)
    network = fit_mlp(sides, 0)
    step = 1e-5 * np.eye(4)
    slopes = [
        (network(sides.source + s) - network(sides.source - s)).mean(axis=0) / 2e-5 for s in step
    ]
    np.testing.assert_allclose(bent.matrix, slopes, atol=1e-6)


def test_an_mlp_is_decided_by_its_seed() -> None:
    source, target, _ = planted(200, D, D, 0)
    first, again, other = (fit_map("mlp", source, target, s, None).matrix for s in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


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
