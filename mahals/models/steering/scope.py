"""Scope: at which tokens of a text does an intervention act?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from mahals.models.activations.batching import Batch
from mahals.records import Matches

ALL = "all"
FROM = "from:"
Scope = Annotated[
    str, Matches(r"all|prompt|generated|from:\d+", "all | prompt | generated | from:n")
]
"""`prompt`: what the model is asked, template included. `generated`: what comes after it, so not
the state from which an answer's first token follows. `from:n`: token n (from 0, begin token
included) and all after it. Of a text that is scored (an answer, a neutral text) its own tokens
count as generated, what stands before them as prompt."""


@dataclass(frozen=True)
class TokenPlaces:
    """Where the tokens of the running batch are in their texts."""

    positions: Tensor  # (b, t): of each token in its own text, from 0; anything for padding
    prompts: Tensor  # (b, 1): how many tokens of each text are its prompt

    def within(self, scope: str) -> Tensor:
        """(b, t, 1) bool: whether the intervention acts at a token."""
        if scope == "prompt":
            found = self.positions < self.prompts
        elif scope == "generated":
            found = self.positions >= self.prompts
        elif scope.startswith(FROM):
            found = self.positions >= int(scope.removeprefix(FROM))
        else:
            found = self.positions >= 0
        return found[:, :, None]


def places(batch: Batch) -> TokenPlaces:
    """Of a batch that is read from its first token."""
    return TokenPlaces(batch.positions, batch.prompts)
