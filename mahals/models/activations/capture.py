"""Capture: what are a model's states on texts, block by block, pooled over tokens?

States are the residual stream after a block, read by hooks of our own: output_hidden_states is
shifted by one, ends after the final norm and does not see another hook on the same block. Pooling
is done inside the hook, and the model stops after the last block that was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import torch
from torch import Tensor, nn

from mahals.models.activations.batching import Batch, Side, for_each, model_inputs
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.records import InputError, unknown
from mahals.schema import Pool

Hook = Callable[..., None]
POOLS: tuple[Pool, ...] = ("mean", "mean_all", "last")


class StopForward(Exception):  # noqa: N818  no error: all that was asked for is read
    """Leaves a model's forward after the last block that is needed."""


def state_of(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The (b, t, d) states in a block's output: older blocks give a tuple, newer ones a Tensor."""
    return output if isinstance(output, Tensor) else output[0]


def pooled(states: Tensor, batch: Batch, pool: Pool) -> Tensor:
    """(b, d) float32 on the states' device from (b, t, d) states; padding has no weight."""
    batch = batch.at(states.device)
    if pool == "last":
        return states[torch.arange(len(batch.rows), device=states.device), batch.last].float()
    weights = batch.own if pool == "mean" else batch.mask
    weights = weights.to(torch.float32) / weights.sum(-1, keepdim=True)
    return torch.bmm(weights[:, None], states.float())[:, 0]


def capture(
    loaded: Loaded,
    encoded: Sequence[Encoded],
    layers: Sequence[int],
    pool: Pool,
    *,
    side: Side = "right",
) -> Tensor:
    """(n, len(layers), d) float32 on the CPU: the states after each block asked for, pooled.

    Rows are in the order of `encoded`; a row does not depend on the others to rounding. Raises
    InputError for an unknown block or pool, no texts, a text beyond the context, or a state that
    is not finite.
    """
    check_request(loaded, layers, pool)
    found = torch.empty(len(encoded), len(layers), loaded.width)
    columns = {block: [c for c, b in enumerate(layers) if b == block] for block in set(layers)}
    blocks = decoder_blocks(loaded.model)

    def read(batch: Batch) -> None:
        with ExitStack() as stack:
            for block in sorted(columns):
                hook = _reader(found, columns[block], batch, pool, stop=block == max(layers))
                stack.callback(blocks[block].register_forward_hook(hook).remove)
            run_until_stopped(loaded, batch)

    for_each(loaded, encoded, read, side=side)
    check_finite(found, loaded)
    return found


def embeddings(loaded: Loaded, encoded: Sequence[Encoded], pool: Pool) -> Tensor:
    """(n, d) float32 on the CPU: the pooled states before block 0 (a floor of every score)."""
    check_request(loaded, [0], pool)
    found = torch.empty(len(encoded), loaded.width)
    first = decoder_blocks(loaded.model)[0]

    def read(batch: Batch) -> None:
        handle = first.register_forward_pre_hook(_before(found, batch, pool), with_kwargs=True)
        try:
            run_until_stopped(loaded, batch)
        finally:
            handle.remove()

    for_each(loaded, encoded, read)
    check_finite(found, loaded)
    return found


def run_until_stopped(loaded: Loaded, batch: Batch) -> None:
    """One forward of a batch that a hook of this file may end early; no KV cache."""
    with torch.inference_mode(), suppress(StopForward):
        loaded.model(**model_inputs(loaded, batch), use_cache=False)


def check_request(loaded: Loaded, layers: Sequence[int], pool: str) -> None:
    """Raises InputError for an unknown pool, no blocks, or a block that the model has not."""
    if pool not in POOLS:
        raise unknown("pool", pool, POOLS)
    wrong = [b for b in layers if not 0 <= b < loaded.layers]
    if wrong or not layers:
        raise InputError(
            f"blocks of {loaded.key}",
            expected=f"some of 0 to {loaded.layers - 1}",
            got=", ".join(map(str, wrong)) or "none",
            cure="count blocks from 0",
        )


def check_finite(states: Tensor, loaded: Loaded) -> None:
    """Raises InputError when a state is NaN or infinite."""
    if not bool(torch.isfinite(states).all()):
        bad = (~torch.isfinite(states)).nonzero()[0].tolist()
        raise InputError(
            f"states of {loaded.key} ({loaded.role})",
            expected="finite numbers",
            got=f"{states[tuple(bad)].item()} at index {bad}",
            cure="check the weights, lower the strength, or use dtype float32",
        )


def _reader(found: Tensor, columns: list[int], batch: Batch, pool: Pool, *, stop: bool) -> Hook:
    """A forward hook that writes a block's pooled states to `columns` of `found`."""

    def read(_: nn.Module, __: Any, output: Tensor | tuple[Tensor, ...]) -> None:
        value = pooled(state_of(output), batch, pool).cpu()
        rows = torch.tensor(batch.rows)
        for column in columns:
            found[rows, column] = value
        if stop:
            raise StopForward

    return read


def _before(found: Tensor, batch: Batch, pool: Pool) -> Hook:
    """A forward pre-hook that writes the pooled input of a block to `found` and stops."""

    def read(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
        states = args[0] if args else kwargs["hidden_states"]
        found[torch.tensor(batch.rows)] = pooled(states, batch, pool).cpu()
        raise StopForward

    return read
