"""Fall vectors: which directions may bring a model back: its own, another's, its fall reversed?"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from mahals.data.texts import Pair
from mahals.evaluation.arms import Direction
from mahals.evaluation.native_vectors import placed
from mahals.maths.vectors.estimators import SteeringVectors, mean_difference
from mahals.models.activations.batching import shorten
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_answers, encode_prompts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.phases.recovery.rows import NEGATED
from mahals.records import InputError
from mahals.schema import Label

Texts = Literal["unsafe", "balanced", "answers"]


@dataclass(frozen=True)
class FallReading:
    """Which texts the fall is read on."""

    texts: Texts  # unsafe prompts, all prompts, or prompts with their chosen answers
    tokens: int  # longer texts lose their beginning


def read_fall_vectors(
    original: Loaded, dealigned: Loaded, pairs: Sequence[Pair], how: FallReading
) -> SteeringVectors:
    """mean(dealigned) - mean(original), (L, d), at the last token of the same texts.

    It leads away from alignment: added it misaligns, subtracted it may bring back. Raises
    InputError for `unsafe` where no pair has an unsafe prompt.
    """
    used = [p for p in pairs if p.label == 0] if how.texts == "unsafe" else list(pairs)
    if not used:
        raise InputError(
            "recovery.texts",
            expected="pairs with unsafe prompts, for `unsafe`",
            got="none",
            cure="set recovery.texts to answers for this data source",
        )
    prompts = [p.prompt for p in used]
    if how.texts == "answers":
        texts = encode_answers(original.tokenizer, prompts, [p.chosen for p in used])
    else:
        texts = encode_prompts(original.tokenizer, prompts)
    short = shorten(texts, how.tokens)
    every = list(range(original.layers))
    sides = [capture(m, short, every, "last").double().numpy() for m in (dealigned, original)]
    return mean_difference(*sides)


def negated(label: Label, found: SteeringVectors, kept: str) -> Direction:
    """The fall, subtracted: the arm that needs nothing but the dealignment itself."""
    values = torch.from_numpy(np.asarray(found.values)).float().contiguous()
    content = f"{tuple(values.shape)}".encode() + values.numpy().tobytes()
    named = replace(
        label, method=NEGATED, vector=hashlib.sha256(content).hexdigest()[:12], kept=kept
    )
    return Direction(named, placed(values, label.layers, label.placement), -1.0)
