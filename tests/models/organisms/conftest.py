"""The world's tokenizer and its first documents."""

from __future__ import annotations

from itertools import islice

import pytest
from transformers import PreTrainedTokenizerFast

from mahals.data.world.grammar import World
from mahals.models.organisms.documents import EARLY, Writer
from mahals.models.organisms.packing import EncodedDocument, encode
from mahals.models.organisms.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(World(0))


@pytest.fixture(scope="module")
def documents(tokenizer: PreTrainedTokenizerFast) -> list[EncodedDocument]:
    return encode(tokenizer, list(islice(Writer(World(0), 1).base(EARLY), 60)), False)
