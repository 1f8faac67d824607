"""Prefill: how are prompts read once, however many arms answer them?

No arm changes anything before the output of its first steered block. Up to the first block s that
any arm steers, rows with the same prompt have the same states, keys and values: one row for each
prompt goes through these blocks, and all rows through the others. With P prompts, R rows and L
blocks that is P (s + 1) + R (L - 1 - s) rows of blocks instead of R L.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from mahals.models.activations.batching import model_inputs, pad
from mahals.models.activations.capture import StopForward, state_of
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.steering.interventions import Arm

Output = Tensor | tuple[Any, ...]
PLAIN = (DynamicLayer, DynamicSlidingWindowLayer)
"""Layers of a cache that hold keys and values of their own block, and nothing else."""


@dataclass(frozen=True)
class Shared:
    """What rows with the same prompt share, already one entry for each row."""

    last: int  # the last shared block
    states: Tensor  # (rows, t, d) after that block
    in_tuple: bool  # blocks give a tuple
    cache: DynamicCache  # keys and values of the shared blocks

    @contextmanager
    def in_place(self, loaded: Loaded) -> Iterator[None]:
        """Inside, the model's next forward takes the shared blocks' results from here."""
        blocks = decoder_blocks(loaded.model)[: self.last + 1]
        with ExitStack() as stack:
            for block in blocks:
                stack.enter_context(_instead(block, lambda *_, **__: self._output()))
            yield

    def _output(self) -> Output:
        return (self.states,) if self.in_tuple else self.states

    def complete(self, cache: DynamicCache) -> None:
        """Gives the cache of that forward the keys and values that it did not compute."""
        for block in range(self.last + 1):
            cache.layers[block] = self.cache.layers[block]


def read_prompts(
    loaded: Loaded, encoded: Sequence[Encoded], arms: Sequence[Arm], jobs: Sequence[tuple[int, int]]
) -> Shared | None:
    """Each prompt of `jobs` (arm, prompt), read once, unsteered; None where each row reads its own.

    That is where no two rows share a prompt, or where blocks leave more than states, keys and
    values: then a block cannot be passed over. Padded on the left to the longest prompt, as the
    rows themselves are. A hook of others that changes a shared block would act twice.
    """
    prompts = list(dict.fromkeys(prompt for _, prompt in jobs))
    cache = DynamicCache(config=loaded.model.config)
    if len(prompts) == len(jobs) or any(type(layer) not in PLAIN for layer in cache.layers):
        return None
    firsts = [arms[arm].first for arm, _ in jobs]
    last = min([f for f in firsts if f is not None], default=loaded.layers - 1)
    batch = pad(loaded, encoded, prompts, "left")
    found = list[Output]()

    def stop(_: nn.Module, __: Any, output: Output) -> None:
        found.append(output)
        raise StopForward

    handle = decoder_blocks(loaded.model)[last].register_forward_hook(stop)
    try:
        with torch.inference_mode():
            loaded.model(**model_inputs(loaded, batch), cache=cache, use_cache=True)
    except StopForward:
        pass
    finally:
        handle.remove()
    if not isinstance(found[0], Tensor) and any(more is not None for more in found[0][1:]):
        return None
    numbers = {prompt: i for i, prompt in enumerate(prompts)}
    rows = torch.tensor([numbers[prompt] for _, prompt in jobs], device=loaded.device)
    with torch.inference_mode():
        rows = rows.cpu() if loaded.spread else rows  # indices that fit on every device
        cache.batch_select_indices(rows)
        states = state_of(found[0])[rows]
    return Shared(last, states, not isinstance(found[0], Tensor), cache)


@contextmanager
def _instead(block: nn.Module, forward: Callable[..., Output]) -> Iterator[None]:
    """Inside, `block` computes `forward`; its hooks run as ever, and it is as before afterwards."""
    own = vars(block).get("forward")  # a library that moves weights sets one
    block.forward = forward
    try:
        yield
    finally:
        del block.forward
        if own is not None:
            block.forward = own
