"""Fitness: is an architecture read, continued and priced here as it would be alone?

A family that sees no attention mask, or keeps its state elsewhere than in the cache, gives wrong
numbers without an error. So each loaded checkpoint is asked once, on two short texts.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from mahals.models.checkpoints.blocks import decoder_blocks
from mahals.models.checkpoints.tail import apart, tolerance, vocabulary_tail
from mahals.records import InputError

LENGTHS = (4, 9)  # tokens of the two texts


def check_fitness(model: nn.Module, tokens: int) -> None:
    """Refuses a model whose answers or prices would be wrong; `tokens` is how many it knows.

    Raises InputError, which names the architecture, unless left- and right-padded states agree,
    the states of a token that is read with a cache agree with those without, and `vocabulary_tail`
    gives the model's own logits, all to `tolerance`.
    """
    try:
        gaps = _gaps(model, tokens)
    except (InputError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise _unfit(model, "a forward of padded texts with a cache", reason) from error
    limit = tolerance(next(model.parameters()).dtype)
    for expected, gap in gaps.items():
        if not gap <= limit:
            raise _unfit(model, expected, f"states that are off by {gap:.2g} of their size")
    vocabulary_tail(model)


def _gaps(model: nn.Module, tokens: int) -> dict[str, float]:
    """By what is expected: how far states are off it, relative to their size."""
    device = next(model.parameters()).device
    texts = [[(1 + i) * tokens // (n + 2) for i in range(n)] for n in LENGTHS]
    right, left = (_padded(texts, side, device) for side in ("right", "left"))
    reader = _Reader(model)
    alone = reader.read(right, slice(None), None)[right.mask]
    cache = DynamicCache(config=model.config)
    before = reader.read(left, slice(None, -1), cache)[left.mask[:, :-1]]
    swapped = torch.tensor([1, 0], device=device)  # rows of a batch end, and the others move up
    cache.batch_select_indices(swapped)
    newest = reader.read(left.rows(swapped), slice(-1, None), cache)[swapped, 0]
    ends = torch.tensor(LENGTHS, device=device).cumsum(0) - 1
    earlier = torch.ones(len(alone), dtype=torch.bool, device=device).index_fill(0, ends, False)
    return {
        "the same states of left- and right-padded texts": apart(before, alone[earlier]),
        "the same states with a key-value cache and without": apart(newest, alone[ends]),
    }


@dataclass(frozen=True)
class _Padded:
    """Texts padded on one side, (b, t) each."""

    ids: Tensor
    mask: Tensor  # bool, at real tokens

    def rows(self, chosen: Tensor) -> _Padded:
        return _Padded(self.ids[chosen], self.mask[chosen])


def _padded(texts: Sequence[Sequence[int]], side: str, device: torch.device) -> _Padded:
    width = max(map(len, texts))
    ids = torch.zeros((len(texts), width), dtype=torch.long)
    mask = torch.zeros((len(texts), width), dtype=torch.bool)
    for row, text in enumerate(texts):
        first = width - len(text) if side == "left" else 0
        ids[row, first : first + len(text)] = torch.tensor(text)
        mask[row, first : first + len(text)] = True
    return _Padded(ids.to(device), mask.to(device))


@dataclass(frozen=True)
class _Reader:
    """A model that is read as `activations.batching` and `generation.decoding` do it."""

    model: nn.Module

    def read(self, texts: _Padded, places: slice, cache: DynamicCache | None) -> Tensor:
        """(b, t, d) states after the last block at `places`; `cache` holds what is before them."""
        kept: list[Any] = []
        mask = texts.mask.long()
        inputs: dict[str, Any] = {"input_ids": texts.ids[:, places]}
        inputs["attention_mask"] = mask[:, : places.stop]
        if "position_ids" in inspect.signature(self.model.forward).parameters:
            inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)[:, places]
        if cache is not None:
            inputs["cache"] = cache
        last = decoder_blocks(self.model)[-1]
        handle = last.register_forward_hook(lambda _, __, output: kept.append(output))
        try:
            with torch.no_grad():
                self.model(**inputs, use_cache=cache is not None)
        finally:
            handle.remove()
        return kept[0] if isinstance(kept[0], Tensor) else kept[0][0]


def _unfit(model: nn.Module, expected: str, got: str) -> InputError:
    return InputError(
        f"architecture {type(model).__name__}",
        expected=expected,
        got=got[:200],
        cure="use a model of a family in benchmarks/models.yaml",
    )
