"""Holding: in which rows of a batch are which latents held, and is nothing left behind?"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from typing import Any

from torch import Tensor, nn

from mahals.models.activations.capture import state_of
from mahals.models.checkpoints.blocks import decoder_blocks, width
from mahals.models.saes.steering import Hold
from mahals.records import InputError


class Holding:
    """Which rows of the batch that is running now hold what."""

    def __init__(self, holds: Sequence[tuple[Hold, ...]]) -> None:
        self.holds = tuple(holds)
        self.select(range(len(holds)))

    def select(self, rows: Sequence[int]) -> None:
        """From now on row r of the batch holds what row rows[r] of the first batch held."""
        self.now = [self.holds[row] for row in rows]

    def apply(self, block: int, states: Tensor) -> Tensor:
        """New (b, t, d) states after `block`. Raises ValueError for another number of rows."""
        if states.shape[0] != len(self.now):
            raise ValueError(f"{len(self.now)} rows hold, the batch has {states.shape[0]}")
        alike: dict[tuple[Hold, ...], list[int]] = {}
        for row, holds in enumerate(self.now):
            alike.setdefault(tuple(h for h in holds if h.block == block), []).append(row)
        states = states.clone()
        for holds, rows in alike.items():
            for hold in holds:
                states[rows] = hold.apply(states[rows])
        return states


@contextmanager
def held(model: nn.Module, holds: Sequence[tuple[Hold, ...]]) -> Iterator[Holding]:
    """Inside, row r of every batch holds holds[r]; afterwards the model is as it was.

    Holds act in their order, before what `steered` adds; rows without any stay bit for bit. Raises
    InputError for one that does not fit, RuntimeError at the end where one did not act.
    """
    blocks, wide, calls = decoder_blocks(model), width(model), Counter[int | str]()
    for hold in chain(*holds):
        reads = hold.clamp.directions.shape[-1]
        if not 0 <= hold.block < len(blocks) or reads != wide:
            expected = f"a block from 0 to {len(blocks) - 1} and states of width {wide}"
            cure, got = "use an SAE of this block", f"block {hold.block} and width {reads}"
            raise InputError("latents to hold", expected=expected, got=got, cure=cure)
    holding, held_blocks = Holding(holds), sorted({h.block for h in chain(*holds)})

    def hook(block: int, _: nn.Module, __: Any, output: Tensor | tuple[Any, ...]) -> Any:
        calls[block] += 1
        states = holding.apply(block, state_of(output))
        return states if isinstance(output, Tensor) else (states, *output[1:])

    with ExitStack() as stack:
        for block in held_blocks:
            handle = blocks[block].register_forward_hook(partial(hook, block), prepend=True)
            stack.callback(handle.remove)
        stack.callback(model.register_forward_pre_hook(lambda *_: calls.update(["model"])).remove)
        yield holding
        for block in held_blocks:
            if not 0 < calls[block] == calls["model"]:
                raise RuntimeError(f"no hold acted on block {block} in {calls['model']} forwards")
