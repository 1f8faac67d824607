"""Fingerprint: what decides a unit's results, as one hash?

A fingerprint holds the values, the code, the machine and the *content* of what lies upstream, so
that upstream results made again with the same bytes leave everything after them as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mahals.data.presets import local_path
from mahals.harness.workspace.code_hash import code_digest, telling_digest
from mahals.harness.workspace.files import sha256
from mahals.harness.workspace.model_registry import (
    check_models,
    check_organisms,
    load_registry,
    places_of,
    trained_pairs,
)
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results, find
from mahals.harness.workspace.settings import (
    TUNING,
    Settings,
    effective,
    reads_of,
    training_seeds,
    upstream_names,
)
from mahals.kernels import OWN, described, environment
from mahals.phase import STUDY, Phase
from mahals.records import InputError, digest, to_plain

if TYPE_CHECKING:
    from mahals.models.checkpoints.device import Device
    from mahals.models.checkpoints.registry import ModelEntry


DECISIVE = ("torch", "transformers", "tokenizers", "peft", "numpy", "scipy", "scikit-learn")
"""The libraries whose version can change the bytes of a result."""
PACKING = "bitsandbytes"  # does where weights are quantized, and is installed for that alone


@dataclass(frozen=True)
class Machine:
    """What of the machine can change the bytes of a result."""

    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 1  # per worker process
    batch: str = "fixed token budget"
    kernels: str = described(environment("organism"))


def _machine(device: Device) -> Machine:
    """Of checkpoints of the hub: the kind of device, and the numbers they are computed in."""
    return Machine(device.kind, device.numbers, batch=AUTOMATIC, kernels=OWN)


AUTOMATIC = "tokens from free memory, halved where it is short"
"""How checkpoints of the hub are batched; organisms have a fixed budget."""


class Resolver:
    """Fingerprints and finished results of every unit under one set of values."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self.workspace, self.settings = workspace, settings
        hub = settings.weights == "hub"
        self.device = settings.device
        self.machine = _machine(self.device) if hub else Machine()
        self._registry: dict[str, ModelEntry] | None = None
        self._found: dict[tuple[str, str], Results] = {}
        self._whole: Resolver | None = None
        self._trainings: dict[int, Resolver] = {}

    @property
    def registry(self) -> dict[str, ModelEntry]:
        """The registry, with every model of the study checked to be in it."""
        if self._registry is None:
            self._registry = load_registry(self.workspace, self.settings.run.model)
            check_models(self.settings.models, self._registry)
            if self.settings.weights == "organism":
                check_organisms(self.settings.models, self._registry)
        return self._registry

    def units(self, phase: Phase) -> tuple[str, ...]:
        """The units that are measured: one per model, or the study as one.

        Of preference_tuning at weights=hub the models whose pair is trained here. Raises InputError
        where no model is one.
        """
        if phase.per != "model":
            return (STUDY,)
        models = self.settings.models
        if phase.name != TUNING or self.settings.weights != "hub":
            return models
        trained = trained_pairs(models, self.registry)
        if not trained:
            raise InputError(
                f"models of {TUNING}",
                expected="a model with `pair: trained` in benchmarks/models.yaml",
                got=", ".join(f"{m}: {self.registry[m].pair}" for m in models),
                cure="name other models, or set the pair of one",
            )
        return trained

    def find(self, phase: str, unit: str) -> Results | None:
        """The finished results of a unit under these values; None when they must be made."""
        key = (phase, unit)
        if key not in self._found:
            mark = self.fingerprint(phase, unit)
            results = find(self.workspace, phase, unit, mark) if mark else None
            if results is None:
                return None
            self._found[key] = results
        return self._found[key]

    def upstream(self, phase: str, unit: str) -> Iterator[tuple[str, str]]:
        """(phase, unit) of everything that a unit directly builds on."""
        settings = self.settings
        this = self.workspace.phase(phase)
        reads = self._first(phase) or self.reads(phase, unit)
        needs = upstream_names(this, settings.weights)
        if this.trainings:
            needs = tuple(n for n in needs if n in effective(settings, this).phases)
        for need in needs:
            if need == TUNING and settings.weights == "hub":
                yield from ((need, model) for model in trained_pairs(reads, self.registry))
                continue
            per_study = self.workspace.phase(need).per == "study"
            yield from ((need, other) for other in ((STUDY,) if per_study else reads))

    def fingerprint(self, phase: str, unit: str) -> str | None:
        """The unit's fingerprint, 64 hexadecimal digits; None while upstream is incomplete."""
        inputs = self.inputs(phase, unit)
        return digest(inputs) if inputs else None

    def inputs(self, phase: str, unit: str) -> dict[str, Any] | None:
        """What goes into a unit's fingerprint, by name; None while upstream is incomplete."""
        content: dict[str, str] = {}
        told: dict[str, str] = {}
        for training, source in self.sources(phase).items():
            for need, other in self.upstream(phase, unit):
                results = source.find(need, other)
                if results is None:
                    return None
                at = "" if training is None else f"@{training}"
                content[f"{need}/{other}{at}"] = results.content
                if training is not None:  # it reads what is told of them
                    told[need] = telling_digest(self.workspace.phase(need))
        return {**self._own(phase, unit), "upstream": content, **({"told": told} if told else {})}

    def sources(self, phase: str) -> dict[int | None, Resolver]:
        """The resolver of what lies upstream of a phase; of one over trainings, one a training."""
        seeds = training_seeds(self.settings, self.workspace.phase(phase))
        for seed in seeds:
            if seed not in self._trainings:
                settings = _of_models(self.settings.with_training(seed), self._first(phase))
                self._trainings[seed] = Resolver(self.workspace, settings)
        return {seed: self._trainings[seed] for seed in seeds} or {None: self.whole()}

    def _first(self, phase: str) -> tuple[str, ...]:
        """The models that a phase over trainings reads; none for a phase that reads one."""
        this = self.workspace.phase(phase)
        if not this.trainings:
            return ()
        count = int(effective(self.settings, this).first_models)
        return self.settings.models[: count or None]

    def whole(self) -> Resolver:
        """The resolver of what lies upstream, where no limit holds."""
        if not self.settings.limit:
            return self
        if self._whole is None:
            self._whole = Resolver(self.workspace, self.settings.without_limit())
        return self._whole

    def reads(self, phase: str, unit: str) -> tuple[str, ...]:
        """The models whose weights and upstream results a unit may ask for."""
        return reads_of(self.settings.values, self.workspace.phase(phase), unit)

    def _own(self, phase: str, unit: str) -> dict[str, Any]:
        this, settings = self.workspace.phase(phase), self.settings
        params = to_plain(effective(settings, this))
        models = self.reads(phase, unit)
        return {
            "phase": phase,
            "unit": unit,
            "params": params,
            "weights": settings.weights,
            "seed": settings.seed,
            "models": {key: self._model(key) for key in models},
            "order": list(models),  # a phase may take the first so many
            "limit": settings.limit,
            "code": code_digest(this),
            "data": dict(_files_named(self.workspace, params)),
            "versions": {**library_versions(), **self._packing()},
            "machine": to_plain(self.machine),
        }

    def _packing(self) -> dict[str, str]:
        """The version of the library that packs weights, where they are packed."""
        packed = self.settings.weights == "hub" and self.device.quantize != "none"
        return {PACKING: version(PACKING)} if packed else {}

    def _model(self, key: str) -> Any:
        entry = self.registry[key]
        if self.settings.weights == "organism":
            return to_plain(entry.organism)
        places = places_of(self.workspace)
        halves = (("base", entry.base), ("aligned", entry.aligned))
        marks = {half: None if ref is None else places.mark(ref) for half, ref in halves}
        return {**marks, **({"chat_template": t} if (t := entry.chat_template) else {})}


def _of_models(settings: Settings, models: tuple[str, ...]) -> Settings:
    """The settings of a study of these models."""
    if models == settings.models:
        return settings
    named = list(models)
    return replace(
        settings,
        values={**settings.values, "models": named},
        sets={**settings.sets, "models": named},
    )


def fingerprint(workspace: Workspace, settings: Settings, phase: str, unit: str) -> str:
    """A unit's fingerprint. Raises InputError when results upstream of it are missing."""
    resolver = Resolver(workspace, settings)
    mark = resolver.fingerprint(phase, unit)
    if mark is None:
        missing = [f"{p}/{u}" for p, u in resolver.upstream(phase, unit) if not resolver.find(p, u)]
        raise InputError(
            f"fingerprint of {phase}/{unit}",
            expected="finished results upstream",
            got="none for " + ", ".join(missing),
            cure=f"run python -m mahals run {missing[0].split('/')[0]}",
        )
    return mark


@lru_cache(maxsize=1)
def library_versions() -> dict[str, str]:
    """Of the decisive libraries."""
    return {name: version(name) for name in DECISIVE}


def _files_named(workspace: Workspace, params: Any) -> Iterator[tuple[str, str]]:
    """(path, SHA-256) of every local file that a value, or a source with options, names."""
    if isinstance(params, Mapping):
        for value in params.values():
            yield from _files_named(workspace, value)
    elif isinstance(params, list):
        for value in params:
            yield from _files_named(workspace, value)
    elif isinstance(params, str) and params and len(params) < 1000:
        for named in dict.fromkeys((params, local_path(params))):
            path = workspace.file(named) if named else None
            if path is not None and path.is_file():
                yield str(named), sha256(path)
