"""Token budget: how many go through a model at once, and what if memory does not hold them?

Organisms have one constant for each kind of device: a rerun computes the same bytes. Checkpoints of
the hub take what the free memory holds, and a batch that still does not fit is halved.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import torch

from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.checkpoints.device import out_of_memory
from mahals.usage import note_halved, sharing

TOKENS_PER_BATCH = 8192  # padded
TOKENS_ON_CPU = 2048  # what a core's cache holds: faster by a quarter than 8192
TOKENS_IN_FLIGHT = 16384  # prompt and answer tokens of one batch that writes
FEWEST, MOST = 256, 65536  # tokens of an automatic batch
SHARE = 0.5  # of the free memory that one batch may be planned to take
T = TypeVar("T")


def tokens_at(loaded: Loaded) -> int:
    """The padded tokens of one batch: a constant for organisms, else what memory holds.

    On the CPU more than the constant would be slower, so there memory can only lower it. A power
    of two, so that a little memory more or less changes nothing. The worker processes of a run each
    take an equal part of what is free; what other programs will take is not known.
    """
    cpu = loaded.device.type == "cpu"
    fixed = TOKENS_ON_CPU if cpu else TOKENS_PER_BATCH
    if loaded.weights == "organism":
        return fixed
    free = free_memory(loaded.device)
    held = max(FEWEST, int(SHARE * free / sharing() / token_bytes(loaded)))
    power = 1 << (held.bit_length() - 1)
    return min(power, TOKENS_ON_CPU if cpu else MOST)


def tokens_in_flight(loaded: Loaded) -> int:
    """The padded tokens, of prompts and answers, of one batch that writes: as `tokens_at`.

    Each holds its keys and values in all blocks until the batch has ended.
    """
    if loaded.weights == "organism":
        return TOKENS_IN_FLIGHT
    each = token_bytes(loaded) + cached_bytes(loaded)
    held = max(FEWEST, int(SHARE * free_memory(loaded.device) / sharing() / each))
    power = 1 << (held.bit_length() - 1)
    return min(power, TOKENS_IN_FLIGHT if loaded.device.type == "cpu" else MOST)


def cached_bytes(loaded: Loaded) -> int:
    """What the keys and values of one token take in all blocks."""
    config = loaded.model.config.get_text_config(decoder=True)
    heads = int(config.num_attention_heads)
    kept = getattr(config, "num_key_value_heads", None) or heads
    width = getattr(config, "head_dim", None) or loaded.width // heads
    return int(2 * loaded.layers * kept * width * _number_bytes(loaded))


def token_bytes(loaded: Loaded) -> int:
    """What one token takes at its most while a block runs: about 8 states and 3 inner layers."""
    config = loaded.model.config.get_text_config(decoder=True)
    inner = getattr(config, "intermediate_size", None) or 4 * loaded.width
    return int(_number_bytes(loaded) * (8 * loaded.width + 3 * inner))


def _number_bytes(loaded: Loaded) -> int:
    """What one number takes in a state: 4-bit and 8-bit weights compute in 16 bits."""
    size = next(loaded.model.parameters()).dtype
    return max(size.itemsize, 2) if size.is_floating_point else 2


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had: on a GPU those of the driver and of torch's own cache."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + int(cached)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the system does not say how much memory is available")


def fits_halved(loaded: Loaded, rows: int, error: BaseException) -> bool:
    """Whether a batch of `rows` that ended with `error` is to be run again as two halves.

    The system may end a process that takes too much of the host's memory without an error: that
    cannot be caught.
    """
    return out_of_memory(error) and rows > 1 and loaded.weights != "organism"


def halving(
    loaded: Loaded, groups: Iterable[tuple[int, ...]], work: Callable[[tuple[int, ...]], T]
) -> Iterator[tuple[tuple[int, ...], T]]:
    """Each group of rows with what `work` makes of it, in order.

    A group that memory does not hold (not of an organism) comes as its two halves instead: `work`
    may see a row again and has to overwrite what it left. Raises what `work` raises.
    """
    waiting = deque(groups)
    while waiting:
        rows = waiting.popleft()
        try:
            done = work(rows)
        except (MemoryError, RuntimeError) as error:
            if not fits_halved(loaded, len(rows), error):
                raise
        else:
            yield rows, done
            continue
        # Only here, outside `except`, is the error gone, whose traceback held the try's tensors.
        _give_back(loaded.device)
        note_halved()
        middle = len(rows) // 2
        waiting.extendleft((rows[middle:], rows[:middle]))


def _give_back(device: torch.device) -> None:
    """Memory that nothing holds any more goes back to where the next try asks for it."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
