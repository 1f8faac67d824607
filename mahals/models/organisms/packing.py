"""Packing: how do many short documents fill a batch without seeing each other?

Documents are laid end to end; `position_ids` start again at each, and a document attends to itself
alone, so packed logits equal those of the document by itself (tested for all six families).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from mahals.models.organisms.documents import Document

IGNORED = -100  # target of a position without loss


@dataclass(frozen=True)
class Packed:
    """A batch of documents laid end to end; all (rows, tokens).

    `targets` is the next token of the same document, IGNORED where there is none or no loss.
    """

    ids: Tensor
    positions: Tensor
    targets: Tensor


@dataclass(frozen=True)
class EncodedDocument:
    """One document as token ids; loss only from token `start` on."""

    ids: list[int]
    start: int


def encode(
    tokenizer: PreTrainedTokenizerFast, documents: Sequence[Document], answer_only: bool
) -> list[EncodedDocument]:
    """Token ids of documents; with `answer_only` the loss leaves out what comes before."""
    before = tokenizer([d.before for d in documents], add_special_tokens=False)["input_ids"]
    learned = tokenizer([d.learned for d in documents], add_special_tokens=False)["input_ids"]
    return [
        EncodedDocument(b + a, len(b) if answer_only else 1)
        for b, a in zip(before, learned, strict=True)
    ]


def pack(documents: Iterator[EncodedDocument], rows: int, tokens: int) -> Packed:
    """Fill `rows` x `tokens` exactly; the document at a row's end is cut where the row ends."""
    ids = torch.zeros(rows, tokens, dtype=torch.long)
    positions = torch.zeros(rows, tokens, dtype=torch.long)
    targets = torch.full((rows, tokens), IGNORED, dtype=torch.long)
    for row in range(rows):
        at = 0
        while at < tokens:
            document = next(documents)
            part = torch.tensor(document.ids[: tokens - at])
            end = at + len(part)
            ids[row, at:end] = part
            positions[row, at:end] = torch.arange(len(part))
            first = min(document.start, len(part))
            targets[row, at + first - 1 : end - 1] = part[first:]
            at = end
    return Packed(ids, positions, targets)


def own_document(positions: Tensor) -> Tensor:
    """(rows, 1, tokens, tokens) mask: True where a token may look (same document, not ahead)."""
    document = (positions == 0).cumsum(-1)
    same = document[:, None, :, None] == document[:, None, None, :]
    return same & torch.ones(same.shape[-2:], dtype=torch.bool).tril()


def packed_states(model: PreTrainedModel, batch: Packed) -> Tensor:
    """(rows, tokens, width) final states (after the last norm) in which no document sees another.

    transformers makes the mask from `positions` for every family here but Falcon, which does not
    hand them on; there the mask is given.
    """
    mask = own_document(batch.positions) if model.config.model_type == "falcon" else None
    out = model.base_model(
        input_ids=batch.ids,
        position_ids=batch.positions,
        attention_mask=mask,
        use_cache=False,
    )
    states: Tensor = out.last_hidden_state
    return states


class Batches:
    """An endless stream of packed batches from a stream of documents."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        documents: Iterator[Document],
        answer_only: bool,
    ) -> None:
        self._tokenizer = tokenizer
        self._documents = documents
        self._answer_only = answer_only
        self._stream = self._encoded()

    def _encoded(self) -> Iterator[EncodedDocument]:
        while True:
            chunk = list(islice(self._documents, 512))
            yield from encode(self._tokenizer, chunk, self._answer_only)

    def next(self, rows: int, tokens: int) -> Packed:
        """The next `rows` x `tokens` of the stream."""
        return pack(self._stream, rows, tokens)
