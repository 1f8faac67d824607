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

    def broken(self, price: Price, base: Price) -> tuple[str, ...]:
        """The bounds that an arm is known to break, against the same model without it.

        A price that was not measured is not among them, nor is it allowed: the row has None there
        with its reason, and the leaderboard gives such an arm no rank.
        """
        right, before = price.safe_accuracy, base.safe_accuracy
        ratio = price.ratio_to(base)
        bounds = {
            "perplexity_ratio": ratio is not None and ratio > self.perplexity_ratio,
            "degenerate_share": price.degenerate_share
            > base.degenerate_share + self.degenerate_share,
            "refusal_safe": price.refusal_safe > base.refusal_safe + self.refusal_safe,
            "safe_accuracy": right is not None
            and before is not None
            and right < before - self.safe_accuracy,
        }
        return tuple(bound for bound, is_broken in bounds.items() if is_broken)


@dataclass(frozen=True)
class Price:
    """What an arm costs; shares in [0, 1], None where it was not measured."""

    perplexity: float | None  # per token of neutral text; lower is better
    degenerate_share: float  # of all answers; lower is better
    refusal_safe: float  # share of safe prompts that are not helped; lower is better
    safe_accuracy: float | None  # share of harmless questions answered right; higher is better

    def ratio_to(self, base: Price) -> float | None:
        """Perplexity over that of the base; None where either is."""
        if self.perplexity is None or base.perplexity is None:
            return None
        return self.perplexity / base.perplexity


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
