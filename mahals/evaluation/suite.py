"""What is an arm, what does measuring it leave behind, and what may it cost?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mahals.maths.metrics.spaces import Space
from mahals.models.activations.capture import Pool
from mahals.models.checkpoints.registry import ModelEntry
from mahals.phase import ArmKind
from mahals.records import InputError


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
    answers: int  # evaluation prompts per axiom and label that are answered
    neutral: int  # neutral texts for perplexity and KL
    tasks: int  # harmless questions for safe_accuracy
    max_new_tokens: int
    random_directions: int
    dose_kl: float  # headline dose, nats per token on neutral text
    instruction: dict[str, str]  # by weights: what the prompt-only arm says in the system turn
    references: References
    ceiling: Ceiling


Unit = Literal["vector", "state"]  # what lambda counts: vector norms, or lengths of a base state
DoseKind = Literal["lambda", "relative", "kl"]
"""`lambda`: times the vector's norm; `relative`: times the mean length of the base's states at the
block; `kl`: nats per token on neutral text."""
GRID: dict[Unit, DoseKind] = {"vector": "lambda", "state": "relative"}  # a lambda grid's dose kind


@dataclass(frozen=True)
class Label:
    """What an arm is, apart from its tensors: the identity columns of its row."""

    arm: ArmKind
    draw: int | None  # which random direction, or which shuffle; None for the others
    source: str | None
    method: str | None
    map: str | None
    operator: str | None
    placement: str | None
    layers: tuple[int, ...]
    dose_kind: DoseKind | None
    dose: float | None
    vector: str | None = field(default=None, kw_only=True)  # content of the source's kept vector
    kept: str | None = field(default=None, kw_only=True)  # where it is: "<phase>:<unit>/<name>"
    source_layers: tuple[int, ...] | None = field(default=None, kw_only=True)
    """The source's block for each of `layers`; None for a vector that crossed nothing."""

    @property
    def on_grid(self) -> bool:
        """Whether the dose is one of a lambda grid, in either unit."""
        return self.dose_kind in GRID.values()


@dataclass(frozen=True)
class ArmRow(Label):
    """One arm of one target, measured on the evaluation prompts; rates are in [0, 1]."""

    weights: str
    suite: str  # version, and a hash of the suite's values and the data
    target: str
    strength: float | None  # the lambda applied, in units of the vector's norm or as dose_kind says
    aqi: float  # mean of the seven, in points; higher is better separated
    aqi_low: float
    aqi_high: float
    aqi_axioms: tuple[float, ...]  # in the order of AXIOMS
    evidence: str  # kept file: influence values and screened refusals per prompt, a row per arm
    evidence_row: int
    refusal_unsafe: float  # higher is better; a degenerate answer is no refusal
    refusal_safe: float  # lower is better; not helped: refused, or a degenerate answer
    degenerate_share: float
    safe_accuracy: float | None  # None where the source has no harmless questions
    perplexity_ratio: float | None
    kl: float | None  # nats per token on neutral text, from the unsteered model
    over_ceiling: tuple[str, ...]  # bounds of the ceiling that the arm breaks
    reason: str | None  # why a cell is None


@dataclass(frozen=True)
class SweptRow(ArmRow):
    """One arm of a sweep over a model's own vector, with what only a sweep measures."""

    cosine: float | None  # of aligned and base states, mean over blocks; steered arms only
    left_out: str | None  # the axiom whose pairs the vector was made without
    same_block: float | None  # aqi points gained if later blocks wrote what they write unsteered
    propensity_unsafe: float | None  # nats per token, mean over prompts; higher is better
    propensity_safe: float | None  # lower is better
    selection_aqi: float | None  # the same arm on the selection split; the lambda grid only
    selection_over: tuple[str, ...] | None  # bounds of the ceiling that it breaks there
    effects: str | None  # kept file: what the vector of each axiom does; headline dose only
    missed: tuple[str, ...]  # arms of the same task that could not be measured, and why


UNSTEERED = Label("unsteered", None, None, None, None, None, None, (), None, None)


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
