"""Preparation: what must be ready before a unit's first task: its identity, its lab, its plan?"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

from mahals.harness.runner.batch import Work, digests, name_of
from mahals.harness.runner.journal import Journal, JournalPlace
from mahals.harness.runner.lab import LabSpec, WorkLab
from mahals.harness.runner.output import Unit
from mahals.harness.workspace.code_hash import code_digest
from mahals.harness.workspace.fingerprint import Resolver
from mahals.harness.workspace.model_registry import places_of
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.harness.workspace.settings import Settings, effective, is_canonical, upstream_names
from mahals.phase import SHARED_KEYS, SHARED_SECTIONS, STUDY, StatesPlace
from mahals.records import InputError, digest, to_plain

if TYPE_CHECKING:
    from mahals.models.checkpoints.places import Places
    from mahals.models.checkpoints.registry import ModelEntry, Ref

Units = dict[str, Results]  # by unit
PACKAGES = ("torch", "transformers", "numpy", "scipy", "scikit-learn", "safetensors", "tokenizers")


def lab_spec(resolver: Resolver, phase: str, unit: str, journal: JournalPlace) -> LabSpec:
    """The lab of a unit whose upstream results are all there."""
    found = _read(resolver, phase, unit)
    return replace(
        bare_spec(resolver, phase, unit),
        upstream=found.pop(None, {}),
        trainings={seed: results for seed, results in found.items() if seed is not None},
        journal=journal,
    )


def bare_spec(resolver: Resolver, phase: str, unit: str) -> LabSpec:
    """The lab of a unit before anything upstream of it is there: for a look at its plan."""
    settings, workspace = resolver.settings, resolver.workspace
    return LabSpec(
        workspace=workspace,
        phase=phase,
        unit=unit,
        models=settings.models,
        reads=resolver.reads(phase, unit),
        weights=settings.weights,
        model=settings.run.model,
        seed=settings.seed,
        device=resolver.device,
        params=effective(settings, workspace.phase(phase)),
        upstream={},
        trainings={},
        journal=JournalPlace(workspace.journals),
        cache=StatesPlace(workspace.cache / "states", int(settings.run.cache_gb * 1e9)),
    )


def _read(resolver: Resolver, phase: str, unit: str) -> dict[int | None, dict[str, Units]]:
    """The upstream results that a unit reads, all of them there, by training (None: the one)."""
    read: dict[int | None, dict[str, Units]] = {}
    for training, source in resolver.sources(phase).items():
        for need, other in resolver.upstream(phase, unit):
            results = source.find(need, other)
            assert results is not None
            read.setdefault(training, {}).setdefault(need, {})[other] = results
    return read


def planned(spec: LabSpec, limit: int) -> tuple[Any, ...]:
    """The unit's tasks in plan order, at most `limit` of them unless that is 0.

    Raises InputError when there are none.
    """
    plan = spec.workspace.phase(spec.phase).plan
    tasks = tuple(plan(spec.params, WorkLab(spec)))
    if not tasks:
        raise InputError(
            f"plan of {name_of(spec.phase, spec.unit)}",
            expected="at least one task",
            got="none",
            cure=f"look at the section {spec.phase} of params.yaml",
        )
    return tasks[:limit] if limit else tasks


def prepare(resolver: Resolver, phase: str, unit: str) -> Work:
    """A unit ready to be measured; its journal is not yet opened."""
    inputs = resolver.inputs(phase, unit)
    assert inputs is not None
    mark = digest(inputs)
    journal = Journal(resolver.workspace.journals / mark, name_of(phase, unit))
    spec = lab_spec(resolver, phase, unit, journal.place)
    tasks = planned(spec, resolver.settings.limit)
    place = unit_place(resolver, phase, unit, mark, inputs)
    return Work(place, spec, journal, tasks, digests(name_of(phase, unit), tasks))


def unit_place(
    resolver: Resolver, phase: str, unit: str, mark: str, inputs: dict[str, Any]
) -> Unit:
    """Where a unit's results go, and what its run.json says of their making."""
    workspace, settings = resolver.workspace, resolver.settings
    this = workspace.phase(phase)
    plain = is_canonical(workspace, settings, this, unit)
    trainings = _trainings(resolver, phase, unit) if this.trainings else {}
    folder = workspace.results / phase / unit if plain else workspace.runs / mark
    run = {
        "inputs": inputs,
        "canonical": plain,
        "weights": settings.weights,
        "seed": settings.seed,
        "training": training(settings),
        "models": list(resolver.reads(phase, unit)),
        "machine": to_plain(resolver.machine),
        "device": to_plain(resolver.device),
        "versions": versions(),
        **commit(workspace.root),
        **_checkpoints(resolver, phase, unit),
        **({"trainings": trainings} if trainings else {}),  # fingerprints read, by training seed
    }
    gathered = this.per == "model" and unit == STUDY
    home = this.home if plain and not gathered else None
    return Unit(workspace, phase, unit, mark, folder, home, run)


def _checkpoints(resolver: Resolver, phase: str, unit: str) -> dict[str, Any]:
    """The real checkpoints that a unit reads, with their licences; nothing of organisms."""
    if resolver.settings.weights != "hub":
        return {}
    places, found = places_of(resolver.workspace), {}
    for key in resolver.reads(phase, unit):
        entry = resolver.registry[key]
        halves = (("base", entry.base), ("aligned", entry.aligned))
        made = {
            half: {**places.provenance(ref), "reads": _form(entry, places, ref)}
            for half, ref in halves
            if ref is not None
        }
        found[key] = {"licence": entry.licence, "note": entry.note, **made}
    return {"checkpoints": found}


def _form(entry: ModelEntry, places: Places, ref: Ref) -> str:
    """In which form a checkpoint reads a prompt, as far as its files are here."""
    from mahals.models.checkpoints.own import has_template

    folder = places.local(ref)
    if folder is None:
        return "not here yet"
    if has_template(folder):
        return "prompts in the chat template of its tokenizer"
    if entry.chat_template:
        return "prompts in a form that models.yaml lends it (chat_template)"
    return "prompts alone: neither its tokenizer nor models.yaml has a chat template"


def _trainings(resolver: Resolver, phase: str, unit: str) -> dict[str, list[str]]:
    """The fingerprints of what a unit reads of each training; none where some are not there."""
    if resolver.inputs(phase, unit) is None:
        return {}
    return {
        str(training): [
            results.fingerprint for units in read.values() for results in units.values()
        ]
        for training, read in _read(resolver, phase, unit).items()
    }


def training(settings: Settings) -> Any:
    """The seed that the study's organisms are trained with; None of the hub's checkpoints."""
    section = settings.values.get("organisms") if settings.weights == "organism" else None
    return section.get("training_seed") if isinstance(section, dict) else None


def gather_place(resolver: Resolver, phase: str, units: Sequence[Results]) -> Unit:
    """Where the gather over finished units goes."""
    inputs = {
        "phase": phase,
        "unit": STUDY,
        "units": {results.unit: results.fingerprint for results in units},
        "code": code_digest(resolver.workspace.phase(phase)),
        "params": to_plain(effective(resolver.settings, resolver.workspace.phase(phase))),
        "weights": resolver.settings.weights,
        "seed": resolver.settings.seed,
    }
    return unit_place(resolver, phase, STUDY, digest(inputs), inputs)


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """Python and the packages that make the numbers."""
    found = {"python": python_version()}
    for name in ("mahals", *PACKAGES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=4)
def commit(root: Path) -> dict[str, Any]:
    """The git commit of the project and whether files differ from it; None outside git."""
    head = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return {"commit": head or None, "dirty": bool(changed) if head else None}


def command(workspace: Workspace, settings: Settings, name: str) -> str:
    """The command that makes a phase's results under these values."""
    sections, waiting = set(SHARED_SECTIONS), [name]
    while waiting:
        this = waiting.pop()
        sections.add(this)
        waiting += upstream_names(workspace.phase(this), settings.weights)
    keys = {*sections, *SHARED_KEYS, "models", "model", "overlay"}
    words = [
        f" --set {shlex.quote(f'{key}={json.dumps(value)}')}"
        for key, value in settings.sets.items()
        if key.partition(".")[0] in keys
    ]
    return f"python -m mahals run {name}" + "".join(words)


def _git(root: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
