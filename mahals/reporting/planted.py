"""Planted: what was an organism taught that a number of it shows again?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Weighted(Protocol):
    """A row that says of which weights it is."""

    @property
    def weights(self) -> str:
        """organism, or hub."""


def planted_lines(sentence: str, rows: Sequence[Weighted]) -> tuple[str, ...]:
    """The sentence where a row is about an organism, to be said first (METHOD 10); else nothing."""
    return (sentence,) if any(r.weights == "organism" for r in rows) else ()
