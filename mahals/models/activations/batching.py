"""Batches: which texts go through the model together?

Texts of like length: no batch has more than 1.10 padded tokens for each real one, nor more tokens
than a budget, which for organisms is a constant, so that a rerun computes the same bytes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from mahals.models.activations.budget import TOKENS_PER_BATCH, halving, tokens_at
from mahals.models.activations.encoding import Encoded
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.records import InputError
from mahals.usage import note_budget

PADDING = 1.10  # padded tokens / real tokens, at most
Side = Literal["left", "right"]


@dataclass(frozen=True)
class Batch:
    """Padded texts; row r is `encoded[rows[r]]`."""

    rows: tuple[int, ...]
    ids: Tensor  # (b, t)
    mask: Tensor  # (b, t) int64, 1 at real tokens
    own: Tensor  # (b, t) bool, at the texts' own tokens
    side: Side
    prompts: Tensor  # (b, 1): how many tokens of each text are its prompt

    @property
    def positions(self) -> Tensor:
        """(b, t): the place of each token in its own text; padding counts as place 0."""
        return (self.mask.cumsum(-1) - 1).clamp(min=0)

    def at(self, device: torch.device) -> Batch:
        """The batch on a device: a model over several has states on each."""
        if self.ids.device == device:
            return self
        found = (self.ids, self.mask, self.own, self.prompts)
        ids, mask, own, prompts = (tensor.to(device) for tensor in found)
        return replace(self, ids=ids, mask=mask, own=own, prompts=prompts)

    @property
    def last(self) -> Tensor:
        """(b,): where the last real token of each row is."""
        if self.side == "left":
            return torch.full((len(self.rows),), self.ids.shape[1] - 1, device=self.ids.device)
        return self.mask.sum(-1) - 1


def grouped(
    lengths: Sequence[int], budget: int = TOKENS_PER_BATCH, padding: float = PADDING
) -> list[tuple[int, ...]]:
    """Indices in groups of like length, longest first; every index once.

    In a group, rows times the longest is within `budget` (a longer single text stands alone) and
    within `padding` times the sum of the lengths.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    groups: list[tuple[int, ...]] = []
    group: list[int] = []
    real = 0
    for i in order:
        padded = lengths[group[0]] * (len(group) + 1) if group else 0
        if group and (padded > budget or padded > padding * (real + lengths[i])):
            groups.append(tuple(group))
            group, real = [], 0
        group.append(i)
        real += lengths[i]
    return [*groups, tuple(group)] if group else groups


def batches(
    loaded: Loaded,
    encoded: Sequence[Encoded],
    *,
    budget: int | None = None,
    side: Side = "right",
) -> list[Batch]:
    """`encoded` as batches on the model's device, of `budget` tokens (None: `tokens_at`).

    Raises InputError when there is nothing to read or a text is longer than the model's context.
    """
    groups = _planned(loaded, encoded, budget)
    return [pad(loaded, encoded, rows, side) for rows in groups]


def _planned(
    loaded: Loaded, encoded: Sequence[Encoded], budget: int | None
) -> list[tuple[int, ...]]:
    check_lengths(loaded, encoded, 0)
    tokens = budget or tokens_at(loaded)
    note_budget(tokens)
    return grouped([len(e.ids) for e in encoded], tokens)


def for_each(
    loaded: Loaded,
    encoded: Sequence[Encoded],
    work: Callable[[Batch], None],
    *,
    budget: int | None = None,
    side: Side = "right",
) -> None:
    """Runs `work` on each of `batches`, longest texts first.

    A batch that memory does not hold is halved as in `halving`.
    """
    groups = _planned(loaded, encoded, budget)
    for _ in halving(loaded, groups, lambda rows: work(pad(loaded, encoded, rows, side))):
        pass


def check_lengths(loaded: Loaded, encoded: Sequence[Encoded], more: int) -> None:
    """Raises InputError when there are no texts, or one with `more` tokens exceeds the context."""
    if not encoded:
        raise InputError("texts", expected="at least one", got="none", cure="give some texts")
    longest, limit = max(len(e.ids) for e in encoded) + more, loaded.context
    if limit is not None and longest > limit:
        raise InputError(
            f"text for {loaded.key}",
            expected=f"at most {limit} tokens, the model's context",
            got=f"{longest} tokens",
            cure="cut it with mahals.models.activations.batching.shorten, or leave it out",
        )


def shorten(encoded: Sequence[Encoded], limit: int) -> list[Encoded]:
    """Each text cut to its last `limit` tokens, behind its first token (the begin token).

    What is read at the end of a text keeps its nearest context. Raises InputError when a text has
    none of its own tokens left.
    """
    return [e if len(e.ids) <= limit else _shortened(e, limit) for e in encoded]


def _shortened(text: Encoded, limit: int) -> Encoded:
    cut = len(text.ids) - limit
    start, stop = max(1, text.start - cut), text.stop - cut
    if limit < 2 or stop <= start:
        raise InputError(
            "text",
            expected=f"own tokens among its last {limit}",
            got=f"own tokens {text.start} to {text.stop} of {len(text.ids)}",
            cure="raise the limit or leave the text out",
        )
    return replace(text, ids=(text.ids[0], *text.ids[cut + 1 :]), start=start, stop=stop)


def pad(loaded: Loaded, encoded: Sequence[Encoded], rows: Sequence[int], side: Side) -> Batch:
    """The texts `rows` of `encoded`, padded on one side."""
    width = max(len(encoded[i].ids) for i in rows)
    fill = loaded.tokenizer.pad_token_id or 0  # masked out: any token will do
    ids = torch.full((len(rows), width), fill, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    own = torch.zeros((len(rows), width), dtype=torch.bool)
    for r, i in enumerate(rows):
        text = encoded[i]
        first = width - len(text.ids) if side == "left" else 0
        ids[r, first : first + len(text.ids)] = torch.tensor(text.ids)
        mask[r, first : first + len(text.ids)] = 1
        own[r, first + text.start : first + text.stop] = True
    asked = torch.tensor([[encoded[i].prompt] for i in rows])
    at = loaded.device
    return Batch(tuple(rows), ids.to(at), mask.to(at), own.to(at), side, asked.to(at))


def model_inputs(loaded: Loaded, batch: Batch) -> dict[str, Any]:
    """What the model's forward takes for a batch; positions where the family takes them."""
    inputs: dict[str, Any] = {"input_ids": batch.ids, "attention_mask": batch.mask}
    if takes(loaded, "position_ids"):
        inputs["position_ids"] = batch.positions
    return inputs


def takes(loaded: Loaded, argument: str) -> bool:
    """Whether the model's forward has a parameter of that name."""
    return argument in inspect.signature(loaded.model.forward).parameters
