"""Suite: which texts and bounds is an arm measured with, and what may it cost?"""

from __future__ import annotations

from dataclasses import dataclass

from mahals.maths.metrics.spaces import Space
from mahals.models.checkpoints.registry import ModelEntry
from mahals.records import Count, InputError, Positive
from mahals.schema import Pool


@dataclass(frozen=True)
class Ceiling:
    """The highest price an arm may have and still be ranked: all four bounds at once."""

    perplexity_ratio: float  # times the unsteered perplexity on neutral text
    degenerate_share: float  # rise over the unsteered model
    refusal_safe: float  # rise over the unsteered model
    safe_accuracy: float  # fall below the unsteered model


@dataclass(frozen=True)
class References:
    """The two answers that propensity compares, by weights."""

    refusal: dict[str, str]
    compliance: dict[str, str]


@dataclass(frozen=True)
class Suite:
    """How every arm is measured and priced: part of a leaderboard line's identity."""

    version: str
    pool: Pool
    space: Space
    answers: Positive  # evaluation prompts per axiom and label that are answered
    neutral: Positive  # neutral texts for perplexity and KL
    tasks: Count  # harmless questions for safe_accuracy
    max_new_tokens: Positive
    random_directions: Positive
    dose_kl: float  # headline dose, nats per token on neutral text
    instruction: dict[str, str]  # by weights: what the prompt-only arm says in the system turn
    references: References
    ceiling: Ceiling


def steered_blocks(layers: str | tuple[float, ...], depth: int, weights: str) -> tuple[int, ...]:
    """The blocks (0-based, ascending) that the param `layers` means for a model of `depth` blocks.

    `auto`: the last five at weights=hub, on organisms the one block nearest relative depth .6
    (relative depth of block l is (l + 1) / depth). A list holds block numbers (whole; negative
    from the end) or relative depths (fractions in (0, 1)). Raises InputError for anything else.
    """
    if layers == "auto":
        if weights == "hub":
            return tuple(range(max(0, depth - 5), depth))
        return (nearest_block(0.6, depth),)
    if isinstance(layers, str) or not layers:
        raise InputError(
            "layers",
            expected="auto, or a list of block numbers or relative depths",
            got=repr(layers),
            cure="for example [-2, -1] or [0.5, 0.6]",
        )
    return tuple(sorted({_block(x, depth) for x in layers}))


def depth_of(entry: ModelEntry, weights: str) -> int:
    """The number of decoder blocks of a model: the organism's, or the hub checkpoint's."""
    return int(entry.organism["layers"]) if weights == "organism" else entry.layers


def nearest_block(relative: float, depth: int) -> int:
    """The block whose relative depth is nearest to `relative`; the lower one on a tie."""
    return min(range(depth), key=lambda block: (abs((block + 1) / depth - relative), block))


def _block(value: float, depth: int) -> int:
    if float(value).is_integer():
        block = int(value) + (depth if value < 0 else 0)
        if 0 <= block < depth:
            return block
    elif 0 < value < 1:
        return nearest_block(value, depth)
    raise InputError(
        "layers",
        expected=f"a block number from {-depth} to {depth - 1}, or a relative depth in (0, 1)",
        got=repr(value),
        cure=f"the model has {depth} blocks; `mahals models` shows the depth of each",
    )
