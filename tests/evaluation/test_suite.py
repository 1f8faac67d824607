"""Suite: are blocks chosen by number, by depth, or refused?"""

from __future__ import annotations

from typing import Any

import pytest

from mahals.evaluation.suite import depth_of, nearest_block, steered_blocks
from tests.support.tiny_lab import TinyLab, refused


@pytest.mark.parametrize(("depth", "block"), [(4, 1), (5, 2), (6, 3), (28, 16), (32, 18), (42, 24)])
def test_auto_is_the_block_nearest_relative_depth_six_tenths(depth: int, block: int) -> None:
    assert steered_blocks("auto", depth, "organism") == (block,)
    distances = [abs((b + 1) / depth - 0.6) for b in range(depth)]
    assert distances[block] == min(distances)


@pytest.mark.parametrize(
    ("layers", "depth", "weights", "blocks"),
    [
        ("auto", 32, "hub", (27, 28, 29, 30, 31)),
        ("auto", 3, "hub", (0, 1, 2)),
        ((-1.0, -2.0), 6, "organism", (4, 5)),
        ((0.0, 5.0), 6, "hub", (0, 5)),
        ((0.5,), 4, "organism", (1,)),
        ((0.5, 1.0, 0.51), 4, "organism", (1,)),
    ],
)
def test_blocks_by_number_or_depth(layers: Any, depth: int, weights: str, blocks: Any) -> None:
    assert steered_blocks(layers, depth, weights) == blocks


@pytest.mark.parametrize("layers", [(4.0,), (-5.0,), (1.5,), (-0.5,), (), "all"])
def test_a_block_that_is_not_there_is_refused(layers: Any) -> None:
    assert "layers" in str(refused(lambda: steered_blocks(layers, 4, "organism")))


def test_a_tie_goes_to_the_lower_block() -> None:
    assert nearest_block(0.375, 4) == 0
    assert depth_of(TinyLab().entry("C"), "organism") == 6
    assert depth_of(TinyLab().entry("C"), "hub") == 32
