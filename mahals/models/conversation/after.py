"""Agent after talk: what is one like after a conversation: its states, its answers?

All prompts after one conversation share its tokens. They are read once, into a key-value cache, and
each prompt goes on from there: the same states as reading the whole text for every prompt, to
rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from mahals.models.activations.batching import Batch, check_lengths, grouped, pad, takes
from mahals.models.activations.budget import halving, tokens_at
from mahals.models.activations.capture import (
    StopForward,
    check_finite,
    check_request,
    pooled,
    state_of,
)
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.conversation.talks import Agent
from mahals.models.conversation.views import View, encode_prompts_after
from mahals.models.generation.decoding import generate_arms
from mahals.models.steering.hooks import steered
from mahals.records import InputError
from mahals.schema import Pool
from mahals.usage import note_budget


def encode_after(agent: Agent, seen: View, prompts: Sequence[str]) -> list[Encoded]:
    """Each prompt as the user's next words after the view; own: the prompt's tokens.

    Words that the agent heard and has not answered come before the prompt in the same turn.
    """
    return encode_prompts_after(agent.loaded.tokenizer, seen, prompts)


def answers_after(
    agent: Agent, views: Sequence[View], prompts: Sequence[str], max_new_tokens: int
) -> list[list[str]]:
    """The agent's greedy answer to each prompt after each view, `[view][prompt]`, steered."""
    texts = [e for seen in views for e in encode_after(agent, seen, prompts)]
    said = generate_arms(agent.loaded, texts, [agent.arm], max_new_tokens)[0]
    n = len(prompts)
    return [said[i * n : (i + 1) * n] for i in range(len(views))]


def capture_after(
    agent: Agent, views: Sequence[View], prompts: Sequence[str], layers: Sequence[int], pool: Pool
) -> Tensor:
    """(views, prompts, layers, d) float32 on the CPU: the steered agent's states on the prompts.

    Each prompt is read in the context of each view, pooled over the prompt's own tokens (`mean`)
    or at the last token before the answer (`last`). Raises InputError for `mean_all`, which would
    read the conversation into the state, and as `mahals.models.activations.capture.capture` does.
    """
    check_request(agent.loaded, layers, pool)
    if pool == "mean_all":
        raise InputError(
            "pool",
            expected="mean or last: after a conversation only the prompt is read",
            got="mean_all",
            cure="set suite.pool to mean or last",
        )
    found = torch.empty(len(views), len(prompts), len(layers), agent.loaded.width)
    for row, seen in enumerate(views):
        encoded = encode_after(agent, seen, prompts)
        check_lengths(agent.loaded, encoded, 0)
        found[row] = _states(agent, encoded, _Request(tuple(layers), pool))
    check_finite(found, agent.loaded)
    return found


@dataclass(frozen=True)
class _Request:
    layers: tuple[int, ...]
    pool: Pool


def shared_prefix(encoded: Sequence[Encoded]) -> int:
    """How many first tokens all texts share, at most up to where the first own token begins."""
    most = min(min(e.start, len(e.ids) - 1) for e in encoded)
    first = encoded[0].ids
    different = (i for i in range(most) if any(e.ids[i] != first[i] for e in encoded))
    return next(different, most)


def _states(agent: Agent, encoded: Sequence[Encoded], request: _Request) -> Tensor:
    """(n, layers, d): the states of texts that begin alike."""
    loaded, cut = agent.loaded, shared_prefix(encoded)
    cache = _prefix(agent, encoded[0].ids[:cut], max(request.layers)) if cut else None
    rest = [Encoded(e.ids[cut:], e.start - cut, e.stop - cut, e.scored) for e in encoded]
    found = torch.empty(len(rest), len(request.layers), loaded.width)
    room = max(1, tokens_at(loaded) // max(1, 1 + cut // 64))  # the cache is copied for each row
    note_budget(room)

    def read(rows: tuple[int, ...]) -> None:
        batch = pad(loaded, rest, rows, "right")
        with torch.inference_mode(), ExitStack() as stack:
            stack.enter_context(steered(loaded.model, [agent.arm], [0] * len(rows)))
            _read(stack, loaded, request, _writer(found, batch, request))
            _run(loaded, batch, cut, _copied(cache, len(rows)))

    for _ in halving(loaded, grouped([len(e.ids) for e in rest], room), read):
        pass
    return found


def _prefix(agent: Agent, ids: tuple[int, ...], last: int) -> DynamicCache:
    """The cache of the shared tokens, read once, up to block `last`."""
    loaded = agent.loaded
    cache = DynamicCache(config=loaded.model.config)
    batch = pad(loaded, [Encoded(ids, 0, len(ids))], [0], "right")
    with torch.inference_mode(), ExitStack() as stack:
        stack.enter_context(steered(loaded.model, [agent.arm], [0]))
        _read(stack, loaded, _Request((last,), "last"), lambda block, states: None)
        _run(loaded, batch, 0, cache)
    return cache


def _copied(cache: DynamicCache | None, rows: int) -> DynamicCache | None:
    if cache is None:
        return None
    own = copy.deepcopy(cache)
    for layer in own.layers:
        if layer.is_initialized:  # not so above the last block that is read
            layer.batch_repeat_interleave(rows)
    return own


def _writer(found: Tensor, batch: Batch, request: _Request) -> Callable[[int, Tensor], None]:
    def write(block: int, states: Tensor) -> None:
        value = pooled(states, batch, request.pool).cpu()
        for column, wanted in enumerate(request.layers):
            if wanted == block:
                found[torch.tensor(batch.rows), column] = value

    return write


def _read(
    stack: ExitStack, loaded: Loaded, request: _Request, write: Callable[[int, Tensor], None]
) -> None:
    """Hooks that hand on the states after each block asked for, and stop after the last."""
    blocks, last = decoder_blocks(loaded.model), max(request.layers)

    def hook(block: int) -> Callable[..., None]:
        def read(_: nn.Module, __: Any, output: Tensor | tuple[Tensor, ...]) -> None:
            write(block, state_of(output))
            if block == last:
                raise StopForward

        return read

    for block in sorted(set(request.layers)):
        stack.callback(blocks[block].register_forward_hook(hook(block)).remove)


def _run(loaded: Loaded, batch: Batch, before: int, cache: DynamicCache | None) -> None:
    """One forward of a batch whose rows all follow the `before` tokens in the cache."""
    seen = batch.mask.new_ones(len(batch.rows), before)
    inputs: dict[str, Any] = {
        "input_ids": batch.ids,
        "attention_mask": torch.cat([seen, batch.mask], dim=1),
        "use_cache": cache is not None,
        "cache": cache,
    }
    if takes(loaded, "position_ids"):
        inputs["position_ids"] = batch.positions + before
    with suppress(StopForward):
        loaded.model(**inputs)
