"""Neutral context: what would the agent have read at equal length without anything in it?"""

from __future__ import annotations

import random
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from mahals.models.conversation.views import View
from mahals.records import InputError, seed_of


def token_stream(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[int]:
    """The tokens of all texts after one another. Raises InputError for no texts."""
    out = tokenizer(list(texts), add_special_tokens=False, verbose=False) if texts else {}
    found = [i for ids in out.get("input_ids", []) for i in ids]
    if not found:
        raise InputError(
            "neutral texts", expected="at least one", got="none", cure="raise texts_per_split"
        )
    return found


def neutral_views(
    tokenizer: PreTrainedTokenizerBase, views: Sequence[View], stream: Sequence[int], seed: int
) -> list[View]:
    """Each view with the same turns and, turn by turn, the same number of tokens of neutral text.

    The text of view i begins at a place of `stream` drawn from `seed` and i. A turn's tokens may
    differ by a few where neutral text does not part as the words did.
    """
    found = []
    for number, seen in enumerate(views):
        rng = random.Random(seed_of("neutral context", seed, number))
        at, turns = rng.randrange(len(stream)), []
        for role, words in seen.turns:
            wanted = len(tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"])
            some = [stream[(at + k) % len(stream)] for k in range(wanted)]
            at += wanted
            text = str(tokenizer.decode(some, skip_special_tokens=True)).strip()
            turns.append((role, text if text or not words.strip() else "."))
        found.append(View(tuple(turns)))
    return found
