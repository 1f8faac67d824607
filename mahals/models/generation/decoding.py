"""Decoding: what does a model answer under each arm?

Greedy, left padded, with a KV cache; arms and prompts share batches, each row with its own arm and
its own end. Prompts are read once for all arms as far as no arm acts; rows that have ended leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from mahals.models.activations.batching import check_lengths, grouped, model_inputs, pad, takes
from mahals.models.activations.budget import halving, tokens_in_flight
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.prefill import Shared, read_prompts
from mahals.models.steering.hooks import steered
from mahals.models.steering.interventions import Arm, fits
from mahals.models.steering.scope import TokenPlaces
from mahals.records import InputError
from mahals.usage import note_budget

PADDING = 1.25
SHRINK = 0.75  # a batch drops its ended rows when at most this share is still writing


def generate_arms(
    loaded: Loaded, encoded: Sequence[Encoded], arms: Sequence[Arm], max_new_tokens: int
) -> list[list[str]]:
    """The answer of each arm to each prompt, `[arm][prompt]`, without the end token.

    The most likely token each time, at most `max_new_tokens`; the same tokens as one prompt at a
    time gives. Special tokens other than the end stay in the text (a leaked role token shows).
    Raises InputError for no prompts, a length beyond the context, or an arm that does not fit.
    """
    fits(loaded, arms)
    if max_new_tokens < 1:
        raise InputError(
            "max_new_tokens",
            expected="at least 1",
            got=str(max_new_tokens),
            cure="raise it",
        )
    check_lengths(loaded, encoded, max_new_tokens)
    jobs = [(arm, prompt) for prompt in range(len(encoded)) for arm in range(len(arms))]
    lengths = [len(encoded[p].ids) + max_new_tokens for _, p in jobs]
    answers = [[""] * len(encoded) for _ in arms]
    budget = tokens_in_flight(loaded)
    note_budget(budget)

    def write(group: tuple[int, ...]) -> list[list[int]]:
        return _write(loaded, encoded, arms, [jobs[i] for i in group], max_new_tokens)

    groups = grouped(lengths, budget, PADDING)
    for group, written in halving(loaded, groups, write):
        for i, ids in zip(group, written, strict=True):
            arm, prompt = jobs[i]
            answers[arm][prompt] = _text(loaded, ids)
    return answers


def stop_ids(loaded: Loaded) -> tuple[int, ...]:
    """Every token that ends an answer: the tokenizer's, the config's, the generation config's."""
    found: set[int] = set()
    generation = getattr(loaded.model, "generation_config", None)
    for source in (loaded.tokenizer, loaded.model.config, generation):
        ids = getattr(source, "eos_token_id", None)
        found.update([ids] if isinstance(ids, int) else ids or ())
    return tuple(sorted(found))


@dataclass
class _Running:
    """The rows that are still in the batch."""

    jobs: list[int]  # which job each row is
    mask: Tensor  # (rows, tokens so far)
    places: Tensor  # (rows, 1): position of the newest token
    prompts: Tensor  # (rows, 1): tokens of the prompt
    ended: Tensor  # (rows,) bool

    def said(self, newest: Tensor) -> Iterator[tuple[int, int]]:
        """The jobs that still write, each with its newest token; `newest` is (rows,)."""
        for job, token, ended in zip(self.jobs, newest.tolist(), self.ended.tolist(), strict=True):
            if not ended:
                yield job, token


def _write(
    loaded: Loaded,
    encoded: Sequence[Encoded],
    arms: Sequence[Arm],
    jobs: Sequence[tuple[int, int]],
    limit: int,
) -> list[list[int]]:
    """The new tokens of each job, end token included."""
    batch = pad(loaded, encoded, [p for _, p in jobs], "left")
    cache = DynamicCache(config=loaded.model.config)
    stops = torch.tensor(stop_ids(loaded), dtype=torch.long, device=loaded.device)
    rows = _Running(
        list(range(len(jobs))),
        batch.mask,
        batch.positions[:, -1:],
        batch.mask.sum(-1, keepdim=True),
        torch.zeros(len(jobs), dtype=torch.bool, device=loaded.device),
    )
    written: list[list[int]] = [[] for _ in jobs]
    inputs = model_inputs(loaded, batch)
    shared = read_prompts(loaded, encoded, arms, jobs)
    with torch.inference_mode(), steered(loaded.model, arms, [a for a, _ in jobs]) as steering:
        steering.places = TokenPlaces(batch.positions, rows.prompts)
        for step in range(limit):
            newest, shared = _next(loaded, inputs, cache, shared), None
            for job, token in rows.said(newest):
                written[job].append(token)
            rows.ended |= torch.isin(newest, stops)
            writing = (~rows.ended).nonzero()[:, 0]
            if step + 1 == limit or not len(writing):
                break
            if len(writing) <= SHRINK * len(rows.jobs):
                newest = newest[writing]
                cache.batch_select_indices(writing.cpu() if loaded.spread else writing)
                _keep(rows, writing)
                steering.select([jobs[j][0] for j in rows.jobs])
            inputs = _advance(loaded, rows, newest)
            steering.places = TokenPlaces(rows.places, rows.prompts)
    return written


def _next(
    loaded: Loaded, inputs: dict[str, Any], cache: DynamicCache, shared: Shared | None
) -> Tensor:
    """(rows,): the most likely next token; `shared` is what of the prompts is already read."""
    if takes(loaded, "logits_to_keep"):
        inputs = inputs | {"logits_to_keep": 1}
    with nullcontext() if shared is None else shared.in_place(loaded):
        logits: Tensor = loaded.model(**inputs, cache=cache, use_cache=True).logits
    if shared is not None:
        shared.complete(cache)
    return logits[:, -1].argmax(-1)


def _keep(rows: _Running, chosen: Tensor) -> None:
    rows.jobs = [rows.jobs[i] for i in chosen.tolist()]
    rows.mask, rows.places = rows.mask[chosen], rows.places[chosen]
    rows.prompts, rows.ended = rows.prompts[chosen], rows.ended[chosen]


def _advance(loaded: Loaded, rows: _Running, newest: Tensor) -> dict[str, Any]:
    """The inputs of the next step."""
    rows.mask = torch.cat([rows.mask, rows.mask.new_ones(len(rows.jobs), 1)], dim=1)
    rows.places = rows.places + 1
    inputs: dict[str, Any] = {"input_ids": newest[:, None], "attention_mask": rows.mask}
    if takes(loaded, "position_ids"):
        inputs["position_ids"] = rows.places
    return inputs


def _text(loaded: Loaded, ids: list[int]) -> str:
    ended = bool(ids) and ids[-1] in stop_ids(loaded)
    return str(loaded.tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=False))
