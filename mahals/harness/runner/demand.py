"""Demand: what memory, tokens and time do a unit's tasks ask of real checkpoints?

From the size of the checkpoints, the lengths of the study's texts and one measured batch. Texts and
checkpoints that are not here yet are guessed; `Demand.guessed` says so.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from mahals.harness.runner.lab import LabSpec, WorkLab
from mahals.harness.workspace.files import make_folder
from mahals.harness.workspace.fingerprint import library_versions
from mahals.harness.workspace.model_registry import places_of
from mahals.harness.workspace.paths import Workspace
from mahals.kernels import cpu_name
from mahals.models.checkpoints.device import Device
from mahals.models.checkpoints.places import Places
from mahals.models.checkpoints.registry import ModelEntry
from mahals.models.checkpoints.size import Size, folder_size, guessed_size
from mahals.phase import Phase
from mahals.records import digest
from mahals.usage import NO_WORK, TextSizes, Workload, peak_bytes

LETTERS, TEMPLATE = 4.0, 16  # letters of a token; tokens of a chat template around a prompt
GUESSED = TextSizes(560, 45.0, 1200, 120.0, 256, 4, 40.0, 280, 200.0)
USED = 0.9  # of the free memory that all processes together are planned to take
LAYERS, WIDTH = 32, 4096  # of a checkpoint of which nothing is known
LEAST = 2  # checkpoints that a process holds where a phase does not say


EntriesAndTexts = tuple[Mapping[str, ModelEntry], TextSizes]


@dataclass(frozen=True)
class ParameterTokens:
    """Parameters x tokens."""

    read: float
    written: float


@dataclass(frozen=True)
class Demand:
    """What a unit asks; tokens and work are None where the phase does not know them."""

    memory: int  # bytes of one process at its most
    read: float | None  # tokens
    written: float | None
    work: ParameterTokens | None
    fetched: int  # bytes of checkpoints that are not on this machine yet
    guessed: bool


def unit_demand(spec: LabSpec, tasks: Sequence[Any], entries: Mapping[str, ModelEntry]) -> Demand:
    """Of the tasks of a unit whose texts are here."""
    phase = spec.workspace.phase(spec.phase)
    texts = text_sizes(WorkLab(spec)) if "datasets" in spec.upstream else GUESSED
    return demand_of(phase, spec, tasks, (entries, texts))


def demand_of(phase: Phase, spec: LabSpec, tasks: Sequence[Any], known: EntriesAndTexts) -> Demand:
    """Of tasks over texts of known sizes."""
    entries, texts = known
    places = places_of(spec.workspace)
    sizes = {key: entry_size(entries[key], places) for key in spec.reads}
    if not sizes:
        return Demand(process_bytes(), 0, 0, ParameterTokens(0, 0), 0, guessed=False)
    works = [
        (task, phase.workload(task, spec.params, texts, sizes[task.models[0]].layers))
        for task in tasks
        if task.models
    ]
    held = max((w.checkpoints for _, w in works if w is not None), default=LEAST)
    largest = max(sizes.values(), key=lambda size: size.parameters)
    memory = process_bytes() + _footprint(largest, spec.device, held)
    whole = sum((w for _, w in works if w is not None), start=NO_WORK)
    unknown = not works or any(w is None for _, w in works)
    work = None if unknown else _work(works, sizes)
    fetched = sum(2 * s.parameters * LEAST for s in sizes.values() if not s.here)
    guess = texts is GUESSED or any(not s.here for s in sizes.values())
    read, written = (None, None) if unknown else (whole.read, float(whole.written))
    return Demand(memory, read, written, work, fetched, guess)


def _work(
    works: Sequence[tuple[Any, Workload | None]], sizes: Mapping[str, Size]
) -> ParameterTokens:
    known = [(sizes[task.models[0]].parameters, w) for task, w in works if w is not None]
    return ParameterTokens(sum(n * w.read for n, w in known), sum(n * w.written for n, w in known))


def _footprint(size: Size, device: Device, held: int) -> int:
    from mahals.models.generation.footprint import footprint

    return footprint(size, device, held)


def entry_size(entry: ModelEntry, places: Places) -> Size:
    """Of the larger half of a pair, from its files where they are here."""
    folders = [places.local(ref) for ref in entry.refs]
    found = [folder_size(folder) for folder in folders if folder is not None]
    if found:
        return max(found, key=lambda size: size.parameters)
    return guessed_size(entry.layers or LAYERS, entry.width or WIDTH)


def text_sizes(lab: WorkLab) -> TextSizes:
    """Of the evaluation split, the pairs of the extraction split: letters over four."""
    prompts, tasks = lab.prompts("evaluation"), lab.tasks("evaluation")
    neutral, pairs = lab.neutral("evaluation"), lab.pairs("extraction")
    answers = [f"{t.prompt} {choice}" for t in tasks for choice in t.choices]
    return TextSizes(
        len(prompts),
        _tokens([p.text for p in prompts]) + TEMPLATE,
        len(neutral),
        _tokens(neutral),
        len(answers),
        max((len(t.choices) for t in tasks), default=0),
        _tokens(answers) + TEMPLATE,
        len(pairs),
        _tokens([p.prompt + p.chosen for p in pairs]) + TEMPLATE,
    )


def _tokens(texts: Sequence[str]) -> float:
    return statistics.fmean(map(len, texts)) / LETTERS if texts else 0.0


@cache
def process_bytes() -> int:
    """What a process takes before it loads a model: as much as this one, when it is first asked."""
    return peak_bytes()


def free_bytes(device: Device) -> int:
    """Memory that is free where checkpoints go."""
    import torch

    from mahals.models.activations.budget import free_memory

    return free_memory(torch.device(device.name))


def fitting(memory: int, free: int, cores: int) -> int:
    """How many processes of `memory` bytes run at once: at most one a core, at least one."""
    return max(1, min(cores, int(USED * free / max(memory, 1))))


def cached_speed(workspace: Workspace, device: Device) -> Any:
    """`measured_speed` of this machine and these libraries, measured at the first question."""
    from mahals.models.generation.speed import Speed, measured_speed

    mark = digest([cpu_name(), device.kind, device.dtype, library_versions()])[:16]
    file = make_folder(workspace.cache) / f"speed-{mark}.json"
    if file.is_file():
        return Speed(**json.loads(file.read_text(encoding="utf-8")))
    found = measured_speed(device)
    file.write_text(json.dumps(vars(found)), encoding="utf-8")
    return found
