"""Degenerate answers: is an answer empty, repeating itself or leaking role tokens?"""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from mahals.maths.metrics.refusals import (
    REPEATED,
    is_broken,
    repeated_share,
)


def is_degenerate(text: str, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether an answer is broken: empty, repeating itself, or with role tokens in it.

    Repeating: more than half of its 4-grams of tokens occurred before in it, a clause is said twice
    in a row, or refusals are strung together (METHOD 2: price).
    """
    if is_broken(text):
        return True
    special = [str(t) for t in tokenizer.added_tokens_decoder.values() if t.special]
    if any(token in text for token in special):
        return True
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    return repeated_share(ids, 4) > REPEATED
