"""Is a process's footprint its checkpoints and its largest batch, by hand?"""

import dataclasses

from mahals.models.checkpoints.device import CPU
from mahals.models.checkpoints.size import Size
from mahals.models.generation.footprint import footprint

SMALL = Size(134_515_008, 30, 576, 1536, 49152, 2 * 30 * 3 * 64, here=True)


def test_the_largest_batch_is_the_priced_one_where_the_vocabulary_is_large():
    tokens = (1 << 26) // 49152
    block = 4 * (8 * 576 + 3 * 1536)
    priced = tokens * (4 * 5 * 49152 + block)
    assert footprint(SMALL, CPU, 1) == 4 * 134_515_008 + priced
    assert footprint(SMALL, CPU, 3) - footprint(SMALL, CPU, 2) == 4 * 134_515_008


def test_it_is_the_written_one_where_the_cache_is_large():
    deep = dataclasses.replace(SMALL, cached=50 * SMALL.cached)
    written = 16384 * 4 * deep.cached + 2048 * 4 * (8 * 576 + 3 * 1536)
    assert footprint(deep, CPU, 1) == 4 * 134_515_008 + written
    half = dataclasses.replace(CPU, dtype="bfloat16")
    assert footprint(deep, half, 1) < 0.6 * footprint(deep, CPU, 1)
