"""Replay: how are many arms read without computing what they share more than once?

An arm changes nothing before the output of its first steered block s. So a batch runs once
unsteered, and each arm replays only the blocks above its s, with each block's own arguments: with L
blocks and C arms, L + C (L - 1 - s) block calls, bit for bit what a full forward gives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mahals.models.activations.batching import Batch, for_each
from mahals.models.activations.capture import (
    StopForward,
    check_finite,
    check_request,
    pooled,
    run_until_stopped,
    state_of,
)
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.steering.hooks import Steering
from mahals.models.steering.interventions import Arm, fits
from mahals.models.steering.scope import places
from mahals.schema import Pool

Read = Callable[[int, Tensor], None]
"""Gets a block and its (b, t, d) states."""


@dataclass(frozen=True)
class _Call:
    """How the model calls a block, but for the states."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    by_name: bool  # the states are the keyword hidden_states

    def __call__(self, block: nn.Module, states: Tensor) -> Tensor:
        if self.by_name:
            return state_of(block(*self.args, hidden_states=states, **self.kwargs))
        return state_of(block(states, *self.args, **self.kwargs))


class Replay:
    """A batch that ran once unsteered, ready to be run again from any block in `starts`."""

    def __init__(self, loaded: Loaded, batch: Batch, starts: set[int], last: int, read: Read):
        self.loaded, self.batch, self.last = loaded, batch, last
        self.calls: dict[int, _Call] = {}
        self.states: dict[int, Tensor] = {}
        self.blocks = decoder_blocks(loaded.model)
        keep_from = min(starts, default=last)
        with ExitStack() as stack:
            for b in range(last + 1):
                if b > keep_from:
                    before = self._recorder(b)
                    handle = self.blocks[b].register_forward_pre_hook(before, with_kwargs=True)
                    stack.callback(handle.remove)
                after = self._reader(b, b in starts, read)
                stack.callback(self.blocks[b].register_forward_hook(after).remove)
            run_until_stopped(loaded, batch)

    def run(self, arm: Arm, read: Read) -> None:
        """Replays the blocks above the arm's first; `read` gets its states from there to `last`.

        Raises RuntimeError when a step of the arm did not act.
        """
        start = arm.first
        if start is None or start > self.last:
            return
        one = next(self.loaded.model.parameters())
        steering = Steering([arm], [0], one)
        steering.places = places(self.batch)
        acted = Counter[int]()
        with torch.inference_mode():
            states = _steer(steering, start, self.states[start], acted)
            read(start, states)
            for b in range(start + 1, self.last + 1):
                states = self.calls[b](self.blocks[b], states)
                states = _steer(steering, b, states, acted)
                read(b, states)
        _all_acted(arm, self.last, acted)

    def _recorder(self, block: int) -> Callable[..., None]:
        def record(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            rest = {k: v for k, v in kwargs.items() if k != "hidden_states"}
            self.calls[block] = _Call(args[1:], rest, by_name="hidden_states" in kwargs)

        return record

    def _reader(self, block: int, keep: bool, read: Read) -> Callable[..., None]:
        def after(_: nn.Module, __: Any, output: Tensor | tuple[Any, ...]) -> None:
            states = state_of(output)
            read(block, states)
            if keep:
                self.states[block] = states
            if block == self.last:
                raise StopForward

        return after


def _steer(steering: Steering, block: int, states: Tensor, acted: Counter[int]) -> Tensor:
    """The states after a block under the one arm of `steering`, broadcast over rows.

    `acted` counts the patches that were applied, by block.
    """
    for patch in steering.patches.get(block, ()):
        states = patch.apply(states, steering.places)
        acted[block] += 1
    return states


def _all_acted(arm: Arm, last: int, acted: Counter[int]) -> None:
    """Raises RuntimeError unless each active step up to block `last` acted exactly once."""
    wanted = Counter(s.block for s in arm.active if s.block <= last)
    missed = sorted(b for b in wanted | acted if wanted[b] != acted[b])
    if missed:
        raise RuntimeError(
            f"{arm.name}: {acted[missed[0]]} of {wanted[missed[0]]} steps acted on block "
            f"{missed[0]} in a replay"
        )


ReadArm = Callable[[int | None, int, Tensor], None]
"""Gets an arm (None: unsteered), a block and its (b, t, d) states under the arm."""


def replays(loaded: Loaded, batch: Batch, arms: Sequence[Arm], last: int, read: ReadArm) -> None:
    """Runs every arm on a batch up to block `last`; `read(arm, block, states)` gets what changes.

    First read(None, block, states) for each block of the unsteered pass, then for each arm the
    blocks from its first steered one; an unsteered arm has no states but the unsteered ones.
    """
    starts = {a.first for a in arms if a.first is not None and a.first <= last}
    replay = Replay(loaded, batch, starts, last, partial(read, None))
    for i, arm in enumerate(arms):
        replay.run(arm, partial(read, i))


def capture_arms(
    loaded: Loaded,
    encoded: Sequence[Encoded],
    arms: Sequence[Arm],
    layers: Sequence[int],
    pool: Pool,
) -> Tensor:
    """(arms, n, len(layers), d) float32 on the CPU: `capture` under every arm.

    Arms of strength 0 equal the unsteered pass bit for bit. Raises InputError as `capture` does,
    and for an arm that does not fit the model.
    """
    return capture_pools(loaded, encoded, arms, layers, [pool])[0]


def capture_pools(
    loaded: Loaded,
    encoded: Sequence[Encoded],
    arms: Sequence[Arm],
    layers: Sequence[int],
    pools: Sequence[Pool],
) -> Tensor:
    """(pools, arms, n, len(layers), d): `capture_arms` in several pools, in one pass."""
    for pool in pools:
        check_request(loaded, layers, pool)
    fits(loaded, arms)
    found = torch.empty(len(pools), len(arms), len(encoded), len(layers), loaded.width)

    def read(batch: Batch) -> None:
        replays(loaded, batch, arms, max(layers), _into(found, batch, layers, pools))

    for_each(loaded, encoded, read)
    for each in found:
        check_finite(each, loaded)
    return found


def _into(found: Tensor, batch: Batch, layers: Sequence[int], pools: Sequence[Pool]) -> ReadArm:
    """Writes pooled states to `found`: the unsteered ones to every arm, then each arm's own."""
    rows = torch.tensor(batch.rows)

    def read(arm: int | None, block: int, states: Tensor) -> None:
        columns = [c for c, wanted in enumerate(layers) if wanted == block]
        for place, pool in enumerate(pools if columns else ()):
            value = pooled(states, batch, pool).cpu()
            for column in columns:
                found[place, slice(None) if arm is None else arm, rows, column] = value

    return read
