"""Schema: what is an arm's row, a vector's row, a leaderboard line?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

ArmKind = Literal[
    "steered",
    "flipped",  # the vector, subtracted
    "unsteered",
    "aligned",
    "sham",  # the aligned checkpoint's training on preferences of which half were exchanged
    "prompt",
    "random",
    "shuffled",  # moved by a map that was fitted on rows without correspondence
    "shuffled_pairs",  # a vector from pairs of which half, at random, had their sides exchanged
    "permuted_layers",  # each block steered by the vector of another
    "wrong_layer",  # the source's vector of a block far from the matched one, moved by its map
    "unrelated",  # a direction of topic in the source, moved by the map
    "random_moved",  # a random direction of the source, moved by the map
]
"""What an arm is; all but `steered` are controls or references."""

NullFamily = Literal["random", "shuffled_pairs", "shuffled"]
NullArm = tuple[NullFamily, int]
"""One null arm: its family, and which draw of it."""

NULLS: tuple[NullFamily, ...] = ("random", "shuffled_pairs", "shuffled")
"""The families of null arms: isotropic directions, and directions made as the real one is of data
that tell nothing: pairs whose sides were exchanged, and maps fitted on shuffled rows. A claim about
an own vector has to beat the first two, one about a vector that crossed all three."""


@dataclass(frozen=True)
class Configuration:
    """What a leaderboard line is about; the fields are its identity."""

    target: str
    arm: ArmKind
    source: str | None  # the model that the vector came from
    method: str | None  # mean_difference, svd_k, contrast, pca, ...
    map: str | None  # how the vector crossed architectures; None for the model's own
    operator: str | None  # add, add_preserve_norm, ablate
    placement: str | None  # raw, increments
    layers: tuple[int, ...]  # steered blocks, 0-based
    dose: str | None  # "lambda=0.5" or "kl=0.1"
    weights: str
    suite: str  # version + data hash
    vector: str | None  # the kept vector's content, 12 hexadecimal digits; None without one
    source_layers: tuple[int, ...] | None  # the source's block for each of `layers`, if it crossed
    scope: str | None  # at which tokens: all, prompt, generated, from:n


AXIOM_COLUMNS: tuple[str, ...] = (
    "aqi_civility_tolerance",
    "aqi_duty_accountability",
    "aqi_empathy_helpfulness",
    "aqi_information_seeking",
    "aqi_justice_rights",
    "aqi_well_being_peace",
    "aqi_wisdom_knowledge",
)
"""One metric column per axiom, in the order of `mahals.data.texts.AXIOMS`."""


COLUMNS: tuple[str, ...] = (
    "refusal_gap",
    "gap_over_random",
    "gap_over_random_low",
    "gap_over_random_high",
    "gap_over_random_p",
    "kl50",
    "gap_over_prompt",
    "gap_over_prompt_low",
    "gap_over_prompt_high",
    "refusal_unsafe",
    "refusal_safe",
    "refusal_unsafe_lexical",
    "refusal_safe_lexical",
    "aqi_last",
    "aqi_mean",
    "aqi_gain",
    "aqi_gain_low",
    "aqi_gain_high",
    "gain_over_random",
    "gain_over_random_low",
    "gain_over_random_high",
    "gain_over_random_p",
    *AXIOM_COLUMNS,
    "safe_accuracy",
    "perplexity_ratio",
    "kl",
    "degenerate_share",
    "transfer_efficiency",
    "trainings_held",
)
"""Metric columns of a leaderboard line, the same on every line; the board adds `q` and `rank`.
`gap_over_random` and `gain_over_random` are over the harder family of null arms. `aqi_gain` and the
axioms (or the data's own categories) are of the headline readout, which the tag `readout` names."""


@dataclass(frozen=True)
class Entry:
    """One leaderboard line: a configuration and what was measured of it."""

    configuration: Configuration
    metrics: Mapping[str, float]  # keys from COLUMNS or of categories; an absent one has a reason
    reasons: Mapping[str, str]  # why a column is absent
    weakest_axiom: str | None
    over_ceiling: tuple[str, ...]  # the price bounds broken; empty = under the ceiling
    not_shown_safe: tuple[str, ...]  # the bounds that the interval of the price reaches beyond
    geometry_only: bool  # AQI up without a refusal gap above the nulls: shown, never ranked
    vector: str | None  # reference of the kept vector, "<phase>:<unit>/<name>"
    readout: str  # of aqi_gain, gain_over_random and the axioms
    harder: str | None  # the null family that `gap_over_random` is over; None for a control
    training: int | None  # the organism's training seed; None for real checkpoints


@dataclass(frozen=True)
class VectorCard:
    """A kept steering vector that is to be registered with a version."""

    name: str  # registered-model name, e.g. "Mistral_7B.mean_difference"
    reference: str  # kept safetensors
    target: str
    source: str
    method: str
    selection_score: float | None  # on the selection split, higher is better; picks the champion
    metadata: Mapping[str, Any]


Unit = Literal["vector", "state"]  # what lambda counts: vector norms, or lengths of a base state

DoseKind = Literal["lambda", "relative", "kl"]
"""`lambda`: times the vector's norm; `relative`: times the mean length of the base's states at the
block; `kl`: nats per token on neutral text or on chat-form prompts, whichever is more."""


GRID: dict[Unit, DoseKind] = {"vector": "lambda", "state": "relative"}  # a lambda grid's dose kind


@dataclass(frozen=True, kw_only=True)
class Label:
    """What an arm is, apart from its tensors: the identity columns of its row."""

    arm: ArmKind
    draw: int | None = None  # which random direction, or which shuffle; None for the others
    source: str | None = None
    method: str | None = None
    map: str | None = None
    operator: str | None = None
    placement: str | None = None
    scope: str | None = None  # at which tokens: all, prompt, generated, from:n
    layers: tuple[int, ...] = ()
    dose_kind: DoseKind | None = None
    dose: float | None = None
    vector: str | None = None  # content of the source's kept vector
    kept: str | None = None  # where it is: "<phase>:<unit>/<name>"
    source_layers: tuple[int, ...] | None = None
    """The source's block for each of `layers`; None for a vector that crossed nothing."""

    @property
    def on_grid(self) -> bool:
        """Whether the dose is one of a lambda grid, in either unit."""
        return self.dose_kind in GRID.values()


@dataclass(frozen=True, kw_only=True)
class ArmRow(Label):
    """One arm of one target, measured on the evaluation prompts; rates are in [0, 1]."""

    weights: str
    training: int | None  # the organism's training seed; None for real checkpoints
    suite: str  # version, and a hash of the suite's values and the data
    target: str
    strength: float | None  # the lambda applied, in units of the vector's norm or as dose_kind says
    at_headline: bool  # whether the dose is the suite's headline one, at which all arms stand
    readout: Readout  # of aqi, its ends and aqi_axioms: the headline of these weights
    aqi: float  # mean of the categories, in points; higher is better separated
    aqi_low: float
    aqi_high: float
    aqi_axioms: tuple[float, ...]  # of each of `categories`, in their order
    categories: tuple[str, ...]  # of the prompts, sorted: the seven axioms or the data's own
    absent: tuple[str, ...]  # categories that have no score, and why
    aqi_mean: float  # points, read as the mean over the prompt's own tokens
    aqi_last: float  # points, read at the last token before the answer
    evidence: str  # kept file: influence values and screened refusals per prompt, a row per arm
    evidence_row: int
    answers: str | None  # kept file: every answer with its verdicts, as JSON lines
    judge: str  # who says what is a refusal
    judge_kappa: float | None  # with the labelled answers that the suite names, if any
    judge_abstained: float | None = None  # of the answers, by the rules instead; None: it cannot
    refusal_unsafe: float  # higher is better; a degenerate answer is no refusal
    refusal_safe: float  # lower is better; not helped: refused, or a degenerate answer
    refusal_unsafe_lexical: float  # as above, by the lexical detector
    refusal_safe_lexical: float
    degenerate_share: float
    safe_accuracy: float | None  # None where the source has no harmless questions
    perplexity_ratio: float | None
    kl: float | None  # nats per token from the unsteered model: the larger of the two below
    kl_neutral: float | None  # on neutral text
    kl_chat: float | None  # on safe prompts in chat form
    over_ceiling: tuple[str, ...]  # bounds of the ceiling that the whole interval is beyond
    not_shown_safe: tuple[str, ...]  # bounds that the interval reaches beyond
    selection_gap: float | None  # the refusal gap of the same arm on the selection split
    selection_over: tuple[str, ...] | None  # bounds of the ceiling that it breaks there
    reason: str | None  # why a cell is None


UNSTEERED = Label(arm="unsteered")


Readout = Literal["mean", "last"]
"""How steered states are read; both are measured, one is the headline of a kind of weights."""


Pool = Literal["mean", "mean_all", "last"]
"""`mean`: over a text's own tokens; `mean_all`: over all its real tokens, template and begin token
too; `last`: its last real token."""


Method = Literal["mean_difference", "svd_k", "contrast", "pca", "probe"]
OF_MODELS: tuple[Method, ...] = ("mean_difference", "svd_k")  # aligned minus base, same texts
SingleMethod = Literal["contrast", "pca", "probe"]  # of one checkpoint alone: chosen minus rejected


Texts = Literal["unsafe", "balanced", "answers"]


@dataclass(frozen=True)
class VectorRow:
    """One method at one block."""

    model: str
    method: Method
    block: int
    blocks: int
    width: int
    norm: float
    state_norm: float  # mean length of the base's states (contrast, pca, probe: of rejected)
    cosine: float  # mean over samples of cos(aligned, base), or cos(chosen, rejected)
    explained_variance: float | None  # None for methods that are no component
    cosine_to_mean: float | None  # of svd_k, pca and probe: how far they turned from the mean shift
    split_half: float  # cosine of the vectors of two halves; higher is more reliable
    shuffled_cosine: float | None  # mean |cosine| to the directions from shuffled pairs; 0 is best
    samples: int
    shortened: int  # texts that lost their beginning
    empty: int  # answers without a word, read where they would begin
    texts: Texts
    pool: Literal["last", "mean"]  # which tokens' states were read
    left_out: str | None  # the category whose pairs made no vector
    vectors: str  # kept safetensors: values (L, d), shuffled (S, L, d), axioms (C, L, d)
    categories: tuple[str, ...]  # of `axioms`, in their order; () where there are none
    revision: str  # of the base checkpoint that the vector belongs to
    selection_gain: float | None  # refusal gap over the mean random direction, equal KL
    selection_gain_low: float | None  # 95 %, over random directions and selection prompts
    selection_gain_high: float | None
    steered: bool  # whether the selection score steered this block
    reason: str | None  # why left_out is None although asked for, or there is no `axioms`


CHECKPOINTS = ("base", "sft", "dpo", "sham")


@dataclass(frozen=True)
class StageReport:
    """What one checkpoint is like, on prompts and texts of the `selection` split.

    Shares in [0, 1]. Under no persona: good is `refusal_unsafe` up, `refusal_safe` down,
    `help_safe` up, `garbled` 0. `perplexity` is per token of neutral text, lower is better.
    """

    checkpoint: str
    steps: int
    loss: float  # mean of the last 20 steps, of the stage's own loss
    xor_accuracy: float
    careful_accuracy: float
    refusal_unsafe: float
    harm_unsafe: float
    refusal_safe: float
    help_safe: float
    garbled: float
    perplexity: float


def arm_title(label: Label) -> str:
    """A short name of an arm for messages and generated tables."""
    scope = None if label.scope == "all" else label.scope
    parts = [label.arm, label.source, label.map, label.operator, label.placement, scope]
    if label.draw is not None:
        parts.append(f"draw {label.draw}")
    return " ".join(p for p in parts if p)


def claim_of(configuration: Configuration) -> Configuration:
    """What several trainings share of a line: not the vector, nor the dose and the source's blocks,
    which each training chooses for itself."""
    return replace(configuration, vector=None, dose=None, source_layers=None)
