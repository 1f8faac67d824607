"""Methods: which of those asked for can make a vector of this model?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from mahals.phase import Single
from mahals.records import InputError
from mahals.schema import OF_MODELS, Method, SingleMethod


@dataclass(frozen=True)
class PossibleMethods:
    """Those that can, and why the others cannot; None where all can."""

    methods: tuple[Method, ...]
    reason: str | None


def methods_of(asked: Sequence[Method], single: Single | None, key: str) -> PossibleMethods:
    """Of a model with a pair all that were asked for; else those of one checkpoint alone.

    Raises InputError where none is left.
    """
    if single is None:
        return PossibleMethods(tuple(asked), None)
    left = tuple(m for m in asked if m not in OF_MODELS)
    if not left:
        raise InputError(
            "steering_vectors.methods",
            expected=f"for {key} at least one of {', '.join(get_args(SingleMethod))}, which need "
            "no second checkpoint",
            got=f"{', '.join(asked)} alone; {single.reason}",
            cure="add contrast to steering_vectors.methods",
        )
    gone = ", ".join(m for m in asked if m in OF_MODELS)
    return PossibleMethods(left, f"{gone}: {single.reason}" if gone else None)
