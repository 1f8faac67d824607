"""Does no cluster stand on both sides of a split?"""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mahals.maths.transfer.rows import in_folds, split_sides


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
