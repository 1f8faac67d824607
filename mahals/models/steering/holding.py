"""Holding: in which rows of a batch are which latents held, and is nothing left behind?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from mahals.models.activations.capture import state_of
from mahals.models.checkpoints.blocks import decoder_blocks, width
from mahals.models.saes.steering import Hold, hold_states
from mahals.records import InputError


class Holding:
    """Which rows of the batch that is running now hold what, block by block."""

    def __init__(self, holds: Sequence[tuple[Hold, ...]]) -> None:
        self.holds = tuple(holds)
        self.blocks = tuple(sorted({h.block for own in self.holds for h in own}))
        self.select(range(len(self.holds)))

    def select(self, rows: Sequence[int]) -> None:
        """From now on row r of the batch holds what row rows[r] of the first batch held."""
        self.rows = tuple(rows)
        self.turns = {block: self._turns(block) for block in self.blocks}

    def apply(self, block: int, states: Tensor) -> Tensor:
        """New (b, t, d) states after `block`. Raises ValueError for another number of rows."""
        if states.shape[0] != len(self.rows):
            raise ValueError(f"{len(self.rows)} rows hold, the batch has {states.shape[0]}")
        states = states.clone()
        for hold, rows in self.turns[block]:
            states[rows] = hold_states(hold, states[rows])
        return states

    def _turns(self, block: int) -> list[tuple[Hold, list[int]]]:
        """The holds at a block in their order, each with its rows: rows share a `Hold` object."""
        own = [[h for h in self.holds[row] if h.block == block] for row in self.rows]
        turns: dict[tuple[int, Hold], list[int]] = {}
        for row, holds in enumerate(own):
            for turn, hold in enumerate(holds):
                turns.setdefault((turn, hold), []).append(row)
        return [(hold, turns[turn, hold]) for turn, hold in sorted(turns, key=lambda at: at[0])]


@contextmanager
def held(model: nn.Module, holds: Sequence[tuple[Hold, ...]]) -> Iterator[Holding]:
    """Inside, row r of every batch holds holds[r]; afterwards the model is as it was.

    A hold acts before any hook of others on its block, so before what `steered` adds; several act
    in their order. Rows without holds stay bit for bit. Raises InputError for a hold that does not
    fit the model, RuntimeError at the end when a block was left out or no forward ran.
    """
    blocks = decoder_blocks(model)
    for own in holds:
        _check(own, len(blocks), width(model))
    holding, calls = Holding(holds), Counter[str | int]()
    with ExitStack() as stack:
        for block in holding.blocks:
            hook = _hook(holding, calls, block)
            stack.callback(blocks[block].register_forward_hook(hook, prepend=True).remove)
        stack.callback(model.register_forward_pre_hook(lambda *_: calls.update(["model"])).remove)
        yield holding
        for block in holding.blocks:
            if not 0 < calls[block] == calls["model"]:
                raise RuntimeError(f"no hold acted on block {block} in {calls['model']} forwards")


def _hook(holding: Holding, calls: Counter[str | int], block: int) -> Callable[..., Any]:
    def hook(_: nn.Module, __: Any, output: Tensor | tuple[Any, ...]) -> Any:
        calls[block] += 1
        states = holding.apply(block, state_of(output))
        return states if isinstance(output, Tensor) else (states, *output[1:])

    return hook


def _check(holds: tuple[Hold, ...], layers: int, wide: int) -> None:
    for hold in holds:
        reads = hold.clamp.directions.shape[-1]
        if not 0 <= hold.block < layers or reads != wide:
            expected = f"a block from 0 to {layers - 1} and states of width {wide}"
            cure, got = "use an SAE of this block", f"block {hold.block} and width {reads}"
            raise InputError("latents to hold", expected=expected, got=got, cure=cure)
