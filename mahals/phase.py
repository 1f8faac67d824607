"""What is a phase, what may it ask of the lab it runs in, and what does it leave behind?"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mahals.data.texts import Pair, Prompt, TaskItem

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from mahals.models.checkpoints.checkpoint import Loaded
    from mahals.models.checkpoints.registry import ModelEntry

Role = Literal["base", "aligned", "pretrained", "sham", "random"]
"""Which checkpoint of a model: `base` is the unaligned half of the pair (the SFT checkpoint of an
organism), `aligned` the other half, `pretrained` the one before SFT, `sham` DPO on shuffled
preferences (organisms only), `random` the architecture of `base` with random weights."""

STUDY = "study"  # the unit that stands for all models together

ArmKind = Literal[
    "steered",
    "flipped",  # the vector, subtracted
    "unsteered",
    "aligned",
    "prompt",
    "random",
    "shuffled",  # a map fitted without correspondence
    "shuffled_pairs",  # a vector from pairs whose two sides changed places at random
    "permuted_layers",  # each block steered by the vector of another
    "wrong_layer",  # the source's vector of a block far from the matched one, moved by its map
    "unrelated",  # a direction of topic in the source, moved by the map
    "random_moved",  # a random direction of the source, moved by the map
]
"""What an arm is; all but `steered` are controls or references."""


class Kept(Protocol):
    """Files that are not rows, by the reference `<unit>/<name>` that rows hold."""

    def path(self, reference: str) -> Path:
        """Where the file or folder lies. Raises InputError when missing or its hash differs."""
        ...

    def tensors(self, reference: str) -> dict[str, torch.Tensor]:
        """The tensors of a kept safetensors file."""
        ...


@dataclass(frozen=True)
class StatesPlace:
    """Where read states and measured arms are kept, and how many bytes they may take; 0: none."""

    folder: Path
    limit: int


class Lab(Protocol):
    """All that a running task may ask for. One object per unit and process."""

    weights: Literal["organism", "hub"]
    seed: int
    models: tuple[str, ...]  # the models of this study, in the order of params.yaml
    unit: str  # the model whose results are made, or STUDY
    data_digest: str  # SHA-256 over the study's texts ("" before the datasets phase ran)
    cache: StatesPlace  # for `read_once` of activations and `measure_once` of arms

    def entry(self, key: str) -> ModelEntry:
        """The registry entry of a model."""
        ...

    def model(self, key: str, role: Role) -> Loaded:
        """A loaded checkpoint; the last few asked for stay in memory."""
        ...

    def prompts(self, split: str) -> tuple[Prompt, ...]:
        """The study's prompts of a split, in file order."""
        ...

    def pairs(self, split: str) -> tuple[Pair, ...]: ...

    def neutral(self, split: str) -> tuple[str, ...]:
        """Neutral texts (no safety content) of a split."""
        ...

    def tasks(self, split: str) -> tuple[TaskItem, ...]:
        """Harmless multiple-choice questions of a split; empty where the source has none."""
        ...

    def rows(self, phase: str, unit: str) -> Sequence[Any]:
        """The rows that an upstream phase left for a unit, typed."""
        ...

    def kept(self, phase: str) -> Kept:
        """The kept files of an upstream phase, over all its units."""
        ...

    def keep(self, name: str, tensors: Mapping[str, torch.Tensor]) -> str:
        """Keeps tensors as the safetensors file `name`; gives the reference to put in a row."""
        ...

    def keep_text(self, name: str, text: str) -> str:
        """Keeps `text` as the UTF-8 file `name`; gives the reference to put in a row."""
        ...

    def keep_folder(self, name: str) -> KeptFolder:
        """A context manager giving an empty folder, kept under `name` when it leaves well."""
        ...

    def scratch(self, task: Any) -> Path:
        """A folder that survives a kill and that the same task finds again when it is redone."""
        ...

    def report(self, what: str, done: int, total: int) -> None:
        """Progress inside a task, shown as a bar."""
        ...


class KeptFolder(Protocol):
    """`with lab.keep_folder(name) as folder:` ; `.reference` is what a row holds."""

    reference: str

    def __enter__(self) -> Path: ...

    def __exit__(self, *details: object) -> None: ...


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
    "aqi",
    "aqi_gain",
    "gain_over_random",
    "gain_over_random_low",
    "gain_over_random_high",
    "gain_over_random_p",
    *AXIOM_COLUMNS,
    "refusal_unsafe",
    "refusal_safe",
    "safe_accuracy",
    "perplexity_ratio",
    "kl",
    "degenerate_share",
    "transfer_efficiency",
)
"""Metric columns of a leaderboard line, the same on every line; the board adds `q` and `rank`."""


@dataclass(frozen=True)
class Entry:
    """One leaderboard line: a configuration and what was measured of it."""

    configuration: Configuration
    metrics: Mapping[str, float]  # keys from COLUMNS; an absent one has a reason
    reasons: Mapping[str, str]  # why a column is absent
    weakest_axiom: str | None
    over_ceiling: tuple[str, ...]  # the price bounds broken; empty = under the ceiling
    geometry_only: bool  # AQI up while refusals of unsafe prompts fall: shown, never ranked
    vector: str | None  # reference of the kept vector, "<phase>:<unit>/<name>"


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


@dataclass(frozen=True)
class Summary:
    """What a phase says in numbers: a pure function of rows and kept files."""

    metrics: Mapping[str, float]  # headline numbers, MLflow metric names
    lines: tuple[
        str, ...
    ]  # what a reader should know, one sentence each, with control and interval
    entries: tuple[Entry, ...]
    vectors: tuple[VectorCard, ...]


Plan = Callable[[Any, Lab], Sequence[Any]]
Measure = Callable[[Any, Any, Lab], Iterator[Any]]
Summarize = Callable[[Sequence[Any], Kept], Summary]
Draw = Callable[[Sequence[Any], Kept], "Mapping[str, Figure]"]


@dataclass(frozen=True)
class Cost:
    """A rough price of one task on two laptop cores, before anything was measured."""

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Phase:
    """A phase: its types, its four functions, and where it stands.

    `per` "model": a unit per model (`results/<phase>/<model>/`), gathered over all models into
    `results/<phase>/study/`; "study": one unit.
    A task has `models: tuple[str, ...]`, which must be resident together. `reads`: whether a
    unit's tasks ask for models and upstream results of that unit's model alone (for the unit
    `study` that is all of them), of all models, or of none.
    """

    params: type[Any]
    task: type[Any]
    row: type[Any]
    plan: Plan
    measure: Measure
    summarize: Summarize
    draw: Draw
    needs: tuple[str, ...]
    per: Literal["model", "study"]
    cost: Cost
    reads: Literal["unit", "all", "none"] = "unit"
    home: str | None = None  # a folder other than results/<phase> for its kept files ("data")
    keeps: tuple[str, ...] = ()  # with `home`: the names of all that it keeps there

    @property
    def name(self) -> str:
        """The name of the phase's folder, which is its name everywhere."""
        return str(self.measure.__module__.removesuffix(".measure").rsplit(".", 1)[-1])

    @property
    def question(self) -> str:
        """The first line of the phase's file."""
        module = importlib.import_module(self.measure.__module__)
        return (module.__doc__ or "").strip().splitlines()[0]

    @property
    def shared(self) -> tuple[str, ...]:
        """The shared sections of params.yaml that are fields of Params."""
        return tuple(f.name for f in dataclasses.fields(self.params) if f.name in SHARED_SECTIONS)


RUN_KEYS: tuple[str, ...] = (
    "models",
    "study",
    "overlay",
    "upstream",
    "limit",
    "engine",
    "cache_gb",
)
"""Top-level keys of params.yaml that say what runs and how; no part of a fingerprint."""

SHARED_KEYS: tuple[str, ...] = ("weights", "seed")
"""Top-level keys of params.yaml that are in every phase's effective params."""

SHARED_SECTIONS: tuple[str, ...] = ("world", "suite")
"""Sections of params.yaml that a phase gets by having a Params field of that name."""
