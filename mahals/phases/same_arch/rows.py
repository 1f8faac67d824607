"""Rows of same_arch: what is known of one arm of one model?"""

from __future__ import annotations

from dataclasses import dataclass

from mahals.schema import ArmRow


@dataclass(frozen=True)
class Row(ArmRow):
    """One arm of a sweep over a model's own vector, with what only a sweep measures."""

    cosine: float | None  # of aligned and base states, mean over blocks; steered arms only
    left_out: str | None  # the axiom whose pairs the vector was made without
    same_block: float | None  # aqi points gained if later blocks wrote what they write unsteered
    propensity_unsafe: float | None  # nats per token, mean over prompts; higher is better
    propensity_safe: float | None  # lower is better
    effects: str | None  # kept file: what the vector of each axiom does; headline dose only
    missed: tuple[str, ...]  # arms of the same task that could not be measured, and why
