"""Suite: which texts and bounds is an arm measured with, and what may it cost?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np

from mahals.maths.metrics.spaces import Space
from mahals.maths.stats.intervals import Interval, jackknife_interval
from mahals.maths.stats.rates import share_of
from mahals.models.checkpoints.registry import ModelEntry
from mahals.models.judges.judge import Judging, RefusalChoice, RefusalJudgeName
from mahals.records import AtLeast, Count, InputError, Positive, Several
from mahals.schema import Readout, SingleMethod


@dataclass(frozen=True)
class Ceiling:
    """The highest price an arm may have and still be ranked: all four bounds at once."""

    perplexity_ratio: float  # times the unsteered perplexity on neutral text
    degenerate_share: float  # rise over the unsteered model
    refusal_safe: float  # rise over the unsteered model
    safe_accuracy: float  # fall below the unsteered model

    def judged(self, price: Price, base: Price) -> Verdict:
        """Where an arm's price stands, against the same model without it, text by text.

        By interval (METHOD 2): over where the whole 95 % interval of the change is beyond a bound,
        not shown safe where a part of it is. A price that was not measured is in neither, nor is
        it allowed: the row has None there with its reason, and the board gives such an arm no rank.
        """
        changes = {
            "perplexity_ratio": (price.ratio_over(base), self.perplexity_ratio),
            "degenerate_share": (
                _rise(price.degenerate, base.degenerate, price.clusters),
                self.degenerate_share,
            ),
            "refusal_safe": (
                _rise(price.not_helped, base.not_helped, price.safe_clusters),
                self.refusal_safe,
            ),
            "safe_accuracy": (_rise(base.right, price.right, None), self.safe_accuracy),
        }
        known = {name: (i, bound) for name, (i, bound) in changes.items() if i is not None}
        return Verdict(
            over=tuple(name for name, (i, bound) in known.items() if i.low > bound),
            not_shown_safe=tuple(
                name for name, (i, bound) in known.items() if i.low <= bound < i.high
            ),
        )


@dataclass(frozen=True)
class Verdict:
    """The bounds that a price is beyond, and those that it is not shown to keep."""

    over: tuple[str, ...]
    not_shown_safe: tuple[str, ...]


@dataclass(frozen=True)
class NeutralLoss:
    """How likely a model finds neutral texts, text by text; lower is better."""

    nats: tuple[float, ...]  # sum of -log p over a text's tokens but the first
    tokens: tuple[int, ...]  # of each text, but the first

    @property
    def perplexity(self) -> float:
        """exp of the mean over all tokens of all texts."""
        return float(np.exp(sum(self.nats) / sum(self.tokens)))


@dataclass(frozen=True)
class Price:
    """What an arm costs, item by item; None where it was not measured."""

    loss: NeutralLoss | None
    degenerate: tuple[bool, ...]  # of every answer
    not_helped: tuple[bool, ...]  # of every answer to a safe prompt
    right: tuple[bool, ...] | None  # of every harmless question
    clusters: tuple[str, ...]  # of every answer: what intervals cluster on
    safe_clusters: tuple[str, ...]  # of every answer to a safe prompt

    @property
    def safe_accuracy(self) -> float | None:
        """Share of harmless questions answered right; higher is better."""
        return None if self.right is None else float(np.mean(self.right))

    def ratio_over(self, base: Price) -> Interval | None:
        """Perplexity over that of the base, on the same texts; None where either is.

        The interval is a jackknife's over texts of the mean difference of log-likelihoods (a ratio
        estimate: texts weigh by their tokens), and the exponential of its ends.
        """
        if self.loss is None or base.loss is None:
            return None
        tokens = np.array(base.loss.tokens, dtype=np.float64)
        apart = np.array(self.loss.nats) - np.array(base.loss.nats)
        mean = float(apart.sum() / tokens.sum())
        influence = (apart - mean * tokens) / tokens.mean()
        if len(tokens) < 2:
            return Interval(float(np.exp(mean)), 0.0, float("inf"), float("inf"))
        found = jackknife_interval(influence, mean, None)
        low, high = (float(np.exp(x)) for x in (found.low, found.high))
        return Interval(float(np.exp(mean)), low, high, found.standard_error)


def _rise(
    after: Sequence[bool] | None, before: Sequence[bool] | None, clusters: Sequence[str] | None
) -> Interval | None:
    """A share less that of the same items before, paired; None where either was not measured."""
    if after is None or before is None:
        return None
    apart = np.array(after, dtype=np.float64) - np.array(before, dtype=np.float64)
    return share_of(apart, clusters, paired=True).interval()


@dataclass(frozen=True)
class ReferenceAnswers:
    """The two answers that propensity compares, by weights."""

    refusal: dict[str, str]
    compliance: dict[str, str]


@dataclass(frozen=True)
class Suite:
    """How every arm is measured and priced: part of a leaderboard line's identity."""

    version: str
    readout: dict[str, Readout]  # by weights: which AQI is the headline; both are measured
    space: Space
    answers: Positive  # evaluation prompts per axiom and label that are answered
    neutral: Positive  # neutral texts for perplexity and KL, and as many safe prompts for KL
    tasks: Count  # harmless questions for safe_accuracy
    max_new_tokens: dict[str, Positive]  # of one answer, by weights
    single_method: SingleMethod  # in place of one that compares a pair, where a model has none
    judge: dict[str, RefusalJudgeName]  # by weights: who says what is a refusal
    judging: Judging  # what that judge needs besides its name
    nulls: Several  # arms of each family of nulls, for a target, blocks and dose
    dose_kl: float  # headline dose, nats per token on neutral text or chat, whichever is more
    doses: Annotated[tuple[float, ...], AtLeast(1)]  # times dose_kl: where every arm is measured
    doses_beyond: tuple[float, ...]  # times dose_kl, above all of doses: where only nulls are
    instruction: dict[str, str]  # by weights: what the prompt-only arm says in the system turn
    references: ReferenceAnswers
    ceiling: Ceiling

    def readout_of(self, weights: str) -> Readout:
        """The headline readout of a kind of weights. Raises InputError where none is set."""
        readout: Readout = self._of("readout", self.readout, weights, "last")
        return readout

    def judge_of(self, weights: str) -> RefusalChoice:
        """Who says what is a refusal. Raises InputError where none is set for these weights."""
        name = self._of("judge", self.judge, weights, "rules")
        return RefusalChoice(**vars(self.judging), name=name)

    def _of(self, name: str, values: Mapping[str, Any], weights: str, example: str) -> Any:
        if weights not in values:
            raise InputError(
                f"suite.{name}",
                expected=f"one for weights={weights}",
                got=", ".join(sorted(values)) or "none",
                cure=f"add {weights}: {example}",
            )
        return values[weights]

    def new_tokens_of(self, weights: str) -> int:
        """The most tokens of one answer of a kind of weights. InputError where none is set."""
        return int(self._of("max_new_tokens", self.max_new_tokens, weights, "128"))

    @property
    def kls(self) -> tuple[float, ...]:
        """The doses in nats per token, rising; the headline one is always among them."""
        for x in self.doses:
            if not x > 0:
                raise InputError(
                    "suite.doses", expected="numbers above 0", got=f"{x:g}", cure="leave it out"
                )
        return tuple(sorted({self.dose_kl, *(x * self.dose_kl for x in self.doses)}))

    @property
    def null_kls(self) -> tuple[float, ...]:
        """The doses of null arms in nats per token, rising: those of all arms, and some above.

        A claim has to beat the null arms at its dose and above it; without a dose above the highest
        a claim at the highest would have an easier null than the others.
        """
        beyond = tuple(sorted({x * self.dose_kl for x in self.doses_beyond}))
        if beyond and beyond[0] <= self.kls[-1]:
            raise InputError(
                "suite.doses_beyond",
                expected=f"numbers above the highest of suite.doses, {max(self.doses):g}",
                got=", ".join(f"{x:g}" for x in self.doses_beyond),
                cure="null arms are measured at suite.doses as well; name only what is above",
            )
        return (*self.kls, *beyond)


Layers = Literal["auto", "all"] | tuple[float, ...]
"""The type of a setting that says which blocks are steered: see `steered_blocks`."""


def steered_blocks(layers: str | tuple[float, ...], depth: int, weights: str) -> tuple[int, ...]:
    """The blocks (0-based, ascending) that the param `layers` means for a model of `depth` blocks.

    `auto`: the last five at weights=hub, on organisms the one block nearest relative depth .6
    (relative depth of block l is (l + 1) / depth). `all`: every block. A list holds block numbers
    (whole; negative from the end) or relative depths (fractions in (0, 1)). Raises InputError for
    anything else.
    """
    if layers == "auto":
        if weights == "hub":
            return tuple(range(max(0, depth - 5), depth))
        return (nearest_block(0.6, depth),)
    if layers == "all":
        return tuple(range(depth))
    if isinstance(layers, str) or not layers:
        raise InputError(
            "layers",
            expected="auto, all, or a list of block numbers or relative depths",
            got=repr(layers),
            cure="for example [-2, -1] or [0.5, 0.6]",
        )
    return tuple(sorted({_block(x, depth) for x in layers}))


def depth_of(entry: ModelEntry, weights: str) -> int:
    """The number of decoder blocks of a model: the organism's, or the real checkpoint's.

    Raises InputError where it is neither stated nor here to be read.
    """
    depth = (entry.organism or {}).get("layers") if weights == "organism" else entry.layers
    if depth is None:
        raise InputError(
            f"depth of {entry.key}",
            expected="layers in its entry, or its config on this machine",
            got="neither",
            cure=f"`mahals models --get {entry.key}`, or state layers and width in its entry",
        )
    return int(depth)


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
