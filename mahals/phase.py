"""Phase: what is one, what may it ask of the lab it runs in, and what does it leave behind?"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mahals.data.texts import Pair, Prompt, TaskItem
from mahals.schema import Entry, VectorCard
from mahals.usage import TextSizes, Workload

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

    from mahals.models.checkpoints.checkpoint import Loaded
    from mahals.models.checkpoints.registry import ModelEntry

Role = Literal["base", "aligned", "pretrained", "sham", "random"]
"""Which checkpoint of a model: `base` is the unaligned half of the pair (the SFT checkpoint of an
organism), `aligned` the other half, `pretrained` the one before SFT, `sham` DPO on shuffled
preferences, `random` the architecture of `base` with random weights. The hub has `pretrained` and
`sham` where the pair is trained here (`pair: trained`). Without a pair `base` is the one checkpoint
there is."""


@dataclass(frozen=True)
class Single:
    """What a model is that has no second half: its one checkpoint answers for base and aligned."""

    role: Literal["base", "aligned"]  # the half of a pair that the checkpoint is
    reason: str  # why there is no other half


STUDY = "study"  # the unit that stands for all models together


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
    trainings: tuple[int, ...]  # training seeds of what a phase over trainings reads; else ()
    unit: str  # the model whose results are made, or STUDY
    data_digest: str  # SHA-256 over the study's texts ("" before the datasets phase ran)
    cache: StatesPlace  # for `cached_states` of activations and `cached_scores` of arms

    def entry(self, key: str) -> ModelEntry:
        """The registry entry of a model."""
        ...

    def model(self, key: str, role: Role) -> Loaded:
        """A loaded checkpoint; the last few asked for stay in memory."""
        ...

    def file(self, named: str) -> Path:
        """The local file that a param names, wherever the command is typed; it need not exist."""
        ...

    def single(self, key: str) -> Single | None:
        """Why a model has but one checkpoint, and which; None where it has a pair.

        Where it is `base`, no checkpoint `aligned` can be asked for; where it is `aligned`, that
        one is what `base` gives, so that it can be steered.
        """
        ...

    def training(self, key: str) -> int | None:
        """The seed of the training that made a model's organism; None for real checkpoints."""
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

    def summary(self, phase: str, training: int) -> Summary:
        """What an upstream phase says of one training, over all its units."""
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
class Summary:
    """What a phase says in numbers: a pure function of rows and kept files."""

    metrics: Mapping[str, float]  # headline numbers, MLflow metric names
    lines: tuple[
        str, ...
    ]  # what a reader should know, one sentence each, with control and interval
    entries: tuple[Entry, ...]
    vectors: tuple[VectorCard, ...]


@dataclass(frozen=True)
class Cost:
    """A rough price of one task on two laptop cores, before anything was measured."""

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Phase:
    """A phase: its folder, and where it stands. Its parts are found there by name, when asked for.

    `rows` of the folder defines Row, `measure` Params, Task, plan and measure (and foretell, where
    the dry run has something to add), `workload` what a task will read and write, where that is
    known beforehand, `report` summarize, `figures` draw: what is told and drawn is
    never imported where something is measured, nor the other way round.

    `per` "model": a unit per model (`results/<phase>/<model>/`), gathered over all models into
    `results/<phase>/study/`; "study": one unit.
    A task has `models: tuple[str, ...]`, which must be resident together. `reads`: whether a
    unit's tasks ask for models and upstream results of that unit's model alone (for the unit
    `study` that is all of them), of all models, or of none.
    `trainings`: it reads what the phases of its param `phases` (some of `needs`) say at so many
    training seeds of the organisms as its param `trainings` says, by `lab.summary`.
    `fixed`: keys of shared sections ("suite.nulls") that nothing of it asks for, and the value that
    it has in their place whatever params.yaml says: another one there measures nothing again.
    """

    module: str  # the folder's dotted name: `PHASE = Phase(__name__, ...)`
    needs: tuple[str, ...]
    per: Literal["model", "study"]
    cost: Cost
    reads: Literal["unit", "all", "none"] = "unit"
    home: str | None = None  # a folder other than results/<phase> for its kept files ("data")
    keeps: tuple[str, ...] = ()  # with `home`: the names of all that it keeps there
    trainings: bool = False
    fixed: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> str:
        """The name of the phase's folder, which is its name everywhere."""
        return self.module.rsplit(".", 1)[-1]

    @property
    def question(self) -> str:
        """The first line of the phase's folder."""
        module = importlib.import_module(self.module)
        return (module.__doc__ or "").strip().splitlines()[0]

    @property
    def params(self) -> type[Any]:
        """`Params` of `measure`: the typed form of the phase's section of params.yaml."""
        return self._type("measure", "Params")

    @property
    def task(self) -> type[Any]:
        """`Task` of `measure`: one unit of resume and distribution."""
        return self._type("measure", "Task")

    @property
    def row(self) -> type[Any]:
        """`Row` of `rows`: one cell of evidence."""
        return self._type("rows", "Row")

    @property
    def shared(self) -> tuple[str, ...]:
        """The shared sections of params.yaml that are fields of Params."""
        return tuple(f.name for f in dataclasses.fields(self.params) if f.name in SHARED_SECTIONS)

    def plan(self, params: Any, lab: Lab) -> Sequence[Any]:
        """The tasks of a unit. Cheap: no model is loaded."""
        tasks: Sequence[Any] = self._part("measure").plan(params, lab)
        return tasks

    def measure(self, task: Any, params: Any, lab: Lab) -> Iterator[Any]:
        """The rows of one task."""
        rows: Iterator[Any] = self._part("measure").measure(task, params, lab)
        return rows

    def summarize(self, rows: Sequence[Any], kept: Kept) -> Summary:
        """What the rows say in numbers and sentences; redone without a model."""
        summary: Summary = self._part("report").summarize(rows, kept)
        return summary

    def draw(self, rows: Sequence[Any], kept: Kept) -> Mapping[str, Figure]:
        """The figures, by name; redone without a model."""
        figures: Mapping[str, Figure] = self._part("figures").draw(rows, kept)
        return figures

    def foretell(self, params: Any, models: Sequence[str], seed: int) -> str | None:
        """One sentence that the dry run adds; None where the phase has none."""
        said = getattr(self._part("measure"), "foretell", None)
        return None if said is None else str(said(params, models, seed))

    def workload(self, task: Any, params: Any, texts: TextSizes, depth: int) -> Workload | None:
        """What a task asks of real checkpoints of `depth` blocks; None where nobody knows."""
        if importlib.util.find_spec(f"{self.module}.workload") is None:
            return None
        found: Workload = self._part("workload").workload(task, params, texts, depth)
        return found

    def _part(self, name: str) -> Any:
        return importlib.import_module(f"{self.module}.{name}")

    def _type(self, part: str, name: str) -> type[Any]:
        found: type[Any] = getattr(self._part(part), name)
        return found


RUN_KEYS: tuple[str, ...] = (
    "models",
    "model",
    "study",
    "overlay",
    "upstream",
    "limit",
    "engine",
    "cache_gb",
)
"""Top-level keys of params.yaml that say what runs and how; no part of a fingerprint."""

SHARED_KEYS: tuple[str, ...] = ("weights", "seed", "device", "dtype", "quantize", "device_map")
"""Top-level keys of params.yaml that hold for every phase; all after `seed` for the hub's alone."""

SHARED_SECTIONS: tuple[str, ...] = ("world", "suite")
"""Sections of params.yaml that a phase gets by having a Params field of that name."""
