"""Lab: what does a task get when it asks for models, data, upstream results and room?"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from mahals.data.texts import NeutralText, Pair, Prompt, TaskItem
from mahals.harness.runner.hub_roles import HubRoles
from mahals.harness.runner.journal import JournalPlace
from mahals.harness.runner.keeping import Keeping, Staged
from mahals.harness.workspace.artifacts import KeptFiles
from mahals.harness.workspace.files import make_folder
from mahals.harness.workspace.model_registry import load_registry, places_of
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.harness.workspace.settings import TUNING
from mahals.phase import STUDY, Role, Single, StatesPlace, Summary
from mahals.records import InputError, digest, from_plain, seed_of, unknown

if TYPE_CHECKING:
    import torch

    from mahals.models.checkpoints.checkpoint import Loaded
    from mahals.models.checkpoints.device import Device
    from mahals.models.checkpoints.registry import ModelEntry

MODELS_IN_MEMORY = 4  # per process
CHECKPOINTS: Mapping[str, str] = {
    "base": "sft",
    "aligned": "dpo",
    "pretrained": "base",
    "sham": "sham",
}
"""Role of an organism's checkpoint -> its kept folder in the phase `organisms`."""
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.=+-]*")
T = TypeVar("T")

_models: OrderedDict[tuple[str, ...], Loaded] = OrderedDict()


@dataclass(frozen=True)
class LabSpec:
    """All that a lab is made of; travels to the process that runs the tasks."""

    workspace: Workspace
    phase: str
    unit: str
    models: tuple[str, ...]  # of the study
    reads: tuple[str, ...]  # of these it may ask for weights
    weights: Literal["organism", "hub"]
    model: str  # the run key: a checkpoint of one's own, or none
    seed: int
    device: Device  # of checkpoints of the hub
    params: Any
    upstream: Mapping[str, Mapping[str, Results]]  # phase -> unit -> results
    trainings: Mapping[int, Mapping[str, Mapping[str, Results]]]  # the same, by training seed
    journal: JournalPlace
    cache: StatesPlace


class WorkLab:
    """The lab of one unit in one process (protocol `mahals.phase.Lab`)."""

    def __init__(self, spec: LabSpec) -> None:
        self.spec = spec
        self.weights, self.seed = spec.weights, spec.seed
        self.models, self.unit = spec.models, spec.unit
        self.trainings = tuple(spec.trainings)
        self.cache = spec.cache
        self.data_digest = self._digest_data()
        self.staged: Staged | None = None
        self.needed: tuple[str, ...] = ()  # models of the task at hand
        self.tell: Callable[[str, int, int], None] = lambda what, done, total: None
        self._registry: dict[str, ModelEntry] | None = None
        self._texts: dict[str, tuple[Any, ...]] = {}
        self._rows: dict[tuple[str, str], Sequence[Any]] = {}

    def entry(self, key: str) -> ModelEntry:
        """The registry entry of a model. Raises InputError when there is none."""
        if self._registry is None:
            self._registry = load_registry(self.spec.workspace, self.spec.model)
        if key not in self._registry:
            raise unknown("model", key, self._registry)
        return self._registry[key]

    def model(self, key: str, role: Role) -> Loaded:
        """A loaded checkpoint; the last few asked for stay in memory.

        Raises InputError for a model that the unit does not read, and for a role that the
        weights do not have.
        """
        if key not in self.spec.reads:
            raise unknown(f"model of {self.spec.phase}/{self.unit}", key, self.spec.reads)
        made = self._made(key)
        mark = (self.weights, key, role, made, str(self.seed))
        if mark not in _models:
            self._make_room(key)
            _models[mark] = self._load(key, role)
        _models.move_to_end(mark)
        while len(_models) > MODELS_IN_MEMORY:
            _models.popitem(last=False)
        return _models[mark]

    def _make_room(self, key: str) -> None:
        """Real checkpoints that the task at hand does not need leave before another is read."""
        if self.weights == "hub":
            for other in [m for m in _models if m[1] not in (key, *self.needed)]:
                del _models[other]

    def file(self, named: str) -> Path:
        """The local file that a param names; the fingerprint holds its bytes."""
        return self.spec.workspace.file(named)

    def single(self, key: str) -> Single | None:
        """Why a model has but one checkpoint, and which; None where it has a pair."""
        return None if self.weights == "organism" else self._hub_roles(key).single

    def training(self, key: str) -> int | None:
        """The seed of the training that made a model's organism; None for real checkpoints."""
        if self.weights != "organism":
            return None
        return int(self._upstream("organisms")[key].run()["inputs"]["params"]["training_seed"])

    def prompts(self, split: str) -> tuple[Prompt, ...]:
        """The study's prompts of a split, in file order."""
        return self._split("prompts", Prompt, split)

    def pairs(self, split: str) -> tuple[Pair, ...]:
        """The study's preference pairs of a split, in file order."""
        return self._split("pairs", Pair, split)

    def neutral(self, split: str) -> tuple[str, ...]:
        """Neutral texts of a split, in file order."""
        return tuple(item.text for item in self._split("neutral", NeutralText, split))

    def tasks(self, split: str) -> tuple[TaskItem, ...]:
        """Harmless questions of a split; empty where the source has none."""
        return self._split("tasks", TaskItem, split)

    def rows(self, phase: str, unit: str) -> Sequence[Any]:
        """The typed rows that an upstream phase left for a unit."""
        key = (phase, unit)
        if key not in self._rows:
            units = self._upstream(phase)
            if unit not in units:
                raise unknown(f"unit of {phase} for {self.spec.phase}/{self.unit}", unit, units)
            self._rows[key] = units[unit].rows()
        return self._rows[key]

    def kept(self, phase: str) -> KeptFiles:
        """The kept files of an upstream phase, over the units that this unit reads."""
        units = self._upstream(phase)
        return KeptFiles(phase, {unit: results.kept() for unit, results in units.items()})

    def summary(self, phase: str, training: int) -> Summary:
        """What an upstream phase says of one training, over all its units, as a gather does."""
        if training not in self.trainings:
            known = map(str, self.trainings)
            raise unknown(f"training seed of {self.spec.phase}", str(training), known)
        units = self._among(phase, self.spec.trainings[training])
        rows = [row for results in units.values() for row in results.rows()]
        kept = KeptFiles(phase, {unit: results.kept() for unit, results in units.items()})
        return self.spec.workspace.phase(phase).summarize(rows, kept)

    def keep(self, name: str, tensors: Mapping[str, torch.Tensor]) -> str:
        """Keeps tensors as the safetensors file `name`; gives the reference to put in a row."""
        from safetensors.torch import save_file

        name = name if name.endswith(".safetensors") else f"{name}.safetensors"
        whole = {key: tensor.detach().contiguous() for key, tensor in tensors.items()}
        with self._keeping(name, folder=False) as file:
            save_file(whole, file)
        return f"{self.unit}/{name}"

    def keep_text(self, name: str, text: str) -> str:
        """Keeps `text` as the UTF-8 file `name`; gives the reference to put in a row."""
        with self._keeping(name, folder=False) as file:
            file.write_text(text, encoding="utf-8")
        return f"{self.unit}/{name}"

    def keep_folder(self, name: str) -> Keeping:
        """`with lab.keep_folder(name) as folder`: what is in it at the end is kept."""
        return self._keeping(name, folder=True)

    def _keeping(self, name: str, *, folder: bool) -> Keeping:
        if self.staged is None:
            raise RuntimeError("only a running task may keep files")
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r}: a kept name is letters, digits and _ . = + - alone")
        return Keeping(self.spec.journal, self.staged, f"{self.unit}/{name}", folder=folder)

    def scratch(self, task: Any) -> Path:
        """A folder that survives a kill and that the same task finds again when it is redone."""
        return make_folder(self.spec.journal.scratch(digest(task)))

    def report(self, what: str, done: int, total: int) -> None:
        """Progress inside a task, shown as a bar."""
        self.tell(what, done, total)

    def _digest_data(self) -> str:
        if "datasets" not in self.spec.upstream:
            return ""
        return digest(self.spec.upstream["datasets"][STUDY].kept().hashes)

    def _upstream(self, phase: str) -> Mapping[str, Results]:
        return self._among(phase, self.spec.upstream)

    def _among(
        self, phase: str, upstream: Mapping[str, Mapping[str, Results]]
    ) -> Mapping[str, Results]:
        if phase not in upstream:
            known = ", ".join(upstream) or "none"
            raise InputError(
                f"phase {self.spec.phase}",
                expected=f"to ask only for results of the phases it needs ({known})",
                got=phase,
                cure=f"add {phase!r} to `needs` of {self.spec.phase}",
            )
        return upstream[phase]

    def _split(self, file: str, kind: type[T], split: str) -> tuple[T, ...]:
        if file not in self._texts:
            self._texts[file] = tuple(self._read(f"{file}.jsonl", kind))
        return tuple(item for item in self._texts[file] if item.split == split)

    def _read(self, file: str, kind: type[T]) -> list[T]:
        place = self._upstream("datasets")[STUDY].kept()
        kept = KeptFiles("datasets", {STUDY: place})
        names = [name for name in place.hashes if name.rpartition("/")[2] == file]
        if not names and file == "tasks.jsonl":
            return []
        text = kept.path(f"{STUDY}/{names[0] if names else file}").read_text(encoding="utf-8")
        lines = enumerate(text.splitlines(), 1)
        return [from_plain(kind, json.loads(line), f"{file}:{number}") for number, line in lines]

    def _load(self, key: str, role: Role) -> Loaded:
        from mahals.models.checkpoints.checkpoint import random_weights

        if role == "random":
            return random_weights(self.model(key, "base"), seed_of("random", key, self.seed))
        load = self._load_organism if self.weights == "organism" else self._load_hub
        return load(key, role)

    def _load_organism(self, key: str, role: Role) -> Loaded:
        from mahals.models.checkpoints.checkpoint import load_checkpoint

        place = self.kept("organisms").path(f"{key}/{CHECKPOINTS[role]}")
        return load_checkpoint(place, revision=None, key=key, role=role, weights="organism")

    def _load_hub(self, key: str, role: Role) -> Loaded:
        from mahals.models.checkpoints.checkpoint import load_checkpoint

        found = self._hub_roles(key).checkpoint(role)
        place = places_of(self.spec.workspace).place(found.ref)
        loaded = load_checkpoint(
            place.folder,
            revision=None,
            known=place.revision,
            key=key,
            role=role,
            weights="hub",
            device=self.spec.device,
            template=self.entry(key).chat_template,
        )
        if found.adapters:
            from mahals.models.finetuning.lora import merged

            for adapter in found.adapters:
                loaded = merged(loaded, self.kept(TUNING).path(adapter))
        return loaded

    def _hub_roles(self, key: str) -> HubRoles:
        """The checkpoints of a real model; those that preference_tuning made, once it has run."""
        entry = self.entry(key)
        ready = entry.pair == "trained" and self.spec.phase != TUNING
        return HubRoles(entry, self.rows(TUNING, key) if ready else ())

    def _made(self, key: str) -> str:
        """The content of what made a model's checkpoints here; empty where nothing did."""
        if self.weights == "organism":
            return str(self._upstream("organisms")[key].content)
        ready = self.entry(key).pair == "trained" and self.spec.phase != TUNING
        return str(self._upstream(TUNING)[key].content) if ready else ""
