"""Stability: how stable are the agents of a table, window by window, in a transcript?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

from mahals.maths.metrics.agent_stability import Index, Interaction, stability
from mahals.maths.metrics.refusals import is_refusal
from mahals.maths.stats.intervals import Floats
from mahals.models.conversation.talks import Talk, Turn
from mahals.models.generation.degenerate import is_degenerate


def stability_windows(
    talks: Sequence[Talk], tokenizers: Sequence[PreTrainedTokenizerBase], window: int
) -> list[Index]:
    """The index of every whole window of turns after the first, against the first.

    Turns are in the order of rounds, then of talks, then of speakers, so that every window holds
    all agents. A transcript shows what was said (TF-IDF), whether
    the turn refused as the one before it did (agreement), its length, and broken turns (errors).
    Without tools, stated reasoning, roles or humans, the other parts are absent. Empty where there
    are fewer than two windows.
    """
    numbered = [(t.round, c, t.speaker, t) for c, talk in enumerate(talks) for t in talk.turns]
    turns = [t for *_, t in sorted(numbered, key=lambda one: one[:3])]
    if len(turns) < 2 * window:
        return []
    before = {(t.conversation, t.round, t.speaker): t for t in turns}
    embedded = _embedded([t.text for t in turns])
    agents = len(talks[0].agents)
    seen = []
    for turn, vector in zip(turns, embedded, strict=True):
        tokenizer = tokenizers[turn.speaker]
        number = turn.round * agents + turn.speaker - 1
        last = before.get((turn.conversation, number // agents, number % agents))
        seen.append(_interaction(turn, last, tokenizer, vector))
    groups = [seen[i : i + window] for i in range(0, len(seen) - window + 1, window)]
    return [stability(groups[0], group) for group in groups[1:]]


def _interaction(
    turn: Turn,
    last: Turn | None,
    tokenizer: PreTrainedTokenizerBase,
    vector: Floats,
) -> Interaction:
    refused = is_refusal(turn.text)
    return Interaction(
        embedding=vector,
        path=None,
        confidence=None,
        tools=None,
        parameters=None,
        agreed=None if last is None else refused == is_refusal(last.text),
        handed_over=None,
        in_role=None,
        length=len(tokenizer(turn.text, add_special_tokens=False, verbose=False)["input_ids"]),
        error=is_degenerate(turn.text, tokenizer),
        human=None,
    )


def _embedded(texts: Sequence[str]) -> Floats:
    """(n, words) TF-IDF vectors; a text without a word is the zero vector."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not any(any(c.isalnum() for c in t) for t in texts):
        return np.zeros((len(texts), 1))
    vectors = TfidfVectorizer(token_pattern=r"\w+").fit_transform(texts)
    return np.asarray(vectors.toarray(), dtype=np.float64)
