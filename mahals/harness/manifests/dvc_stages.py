"""DVC stages: which make a study, what does each build on, and what does it leave?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mahals.data.presets import local_path
from mahals.harness.manifests.sources import Sources
from mahals.harness.workspace.code_hash import code_closure, telling_closure
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import upstream_names
from mahals.phase import SHARED_KEYS, STUDY, Phase
from mahals.records import InputError

REGISTRY = "benchmarks/models.yaml"
BOARD = "benchmarks/LEADERBOARD.md"
PUBLISH = "publish"
ORGANISM, HUB = ("organism",), ("base", "aligned")
PERSIST = {"persist": True}
"""DVC deletes other outs before a stage runs, and one that was killed would measure again what it
had finished. The runner checks the hashes of what was measured, and by which code it was told."""


def pipeline(sources: Sources) -> dict[str, Any]:
    """dvc.yaml: per phase of the study what measures and what gathers, then `publish`."""
    stages: dict[str, Any] = {}
    for name, phase in sources.studied.items():
        stages[name] = _measure_stage(sources, name, phase)
        stages[gather_of(phase)] = _gather_stage(sources, name, phase)
    stages[PUBLISH] = _publish_stage(sources)
    return {"stages": stages}


def gather_of(phase: Phase) -> str:
    """The DVC stage that tells and draws a phase's units, and sums them up."""
    return f"{phase.name}_gather"


def _measure_stage(sources: Sources, name: str, phase: Phase) -> dict[str, Any]:
    """One stage for all units of a phase: of those, the runner measures what is not valid yet.

    A stage a unit would not measure less, but each `dvc repro` would read the same code and
    upstream results once a unit, and DVC would run the units one after another.
    """
    units = sources.measured(phase)
    which = " --units-only" if phase.per == "model" else ""
    stage: dict[str, Any] = {"cmd": f"python -m mahals run {name} --upstream require{which}"}
    stage["deps"] = [
        *_upstream(sources, phase),
        *sorted(_files_named(sources.root, sources.params.get(name))),
        *_paths(sources, code_closure(phase)),
    ]
    about_models = [] if phase.reads == "none" else ["models", *_registered(sources, phase)]
    stage["params"] = [name, *phase.shared, *SHARED_KEYS, *about_models]
    stage["outs"] = [{path: {**PERSIST}} for unit in units for path in _measured(name, phase, unit)]
    return stage


def _gather_stage(sources: Sources, name: str, phase: Phase) -> dict[str, Any]:
    """What tells and draws the units and sums them up: stale after each new run of a unit, with
    other models, and when the code that tells is another; it measures nothing.

    A unit's run.json tells of its rows, kept files, values and code, which are the gather's too:
    to name them again would cost each `dvc repro` as much time as a unit does.
    """
    gathered = phase.per == "model"
    units = sources.measured(phase)
    folders = [f"results/{name}/{unit}" for unit in (*units, *([STUDY] if gathered else []))]
    told = [path for f in folders for path in (f"{f}/summary.json", f"{f}/figures")]
    own = [f"results/{name}/{STUDY}/run.json"] if gathered else []
    stage: dict[str, Any] = {"cmd": f"python -m mahals gather {name} --upstream require"}
    runs = [f"results/{name}/{unit}/run.json" for unit in units]
    stage["deps"] = [*runs, *_paths(sources, telling_closure(phase))]
    if gathered:
        stage["params"] = ["models"]
    reports = ({f"{folder}/report.md": {"cache": False, **PERSIST}} for folder in folders)
    stage["outs"] = [*own, *({path: {**PERSIST}} for path in told), *reports]
    metrics = (f"{folder}/metrics.json" for folder in folders)
    stage["metrics"] = [{path: {"cache": False, **PERSIST}} for path in metrics]
    return stage


def _publish_stage(sources: Sources) -> dict[str, Any]:
    units = [(n, u) for n, p in sources.studied.items() for u in sources.units(p)]
    files = [f"results/{n}/{u}/summary.json" for n, u in units]  # holds what metrics.json does
    code = ["mahals/harness/leaderboard", "mahals/harness/tracking"]
    return {
        "cmd": "python -m mahals publish",
        "deps": [*files, *code],
        "outs": [{BOARD: {"cache": False}}],
    }


def _upstream(sources: Sources, phase: Phase) -> Iterator[str]:
    for need in upstream_names(phase, sources.params["weights"]):
        upstream = sources.phases[need]
        for unit in sources.measured(upstream):
            rows, *kept = _left(need, upstream, unit)
            # Rows of a phase whose files have a home of their own name the hash of each file.
            yield from [rows] if upstream.home else [rows, *kept]


def _left(name: str, phase: Phase, unit: str) -> list[str]:
    """What a unit leaves for other phases: never run.json, which differs in every run."""
    folder = f"results/{name}/{unit}"
    kept = [f"{phase.home}/{k}" for k in phase.keeps] if phase.home else [f"{folder}/kept"]
    return [f"{folder}/rows.jsonl", *kept]


def _files_named(root: Path, value: Any) -> Iterator[str]:
    """The local files that a section of params.yaml names."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _files_named(root, item)
    elif isinstance(value, str) and value:
        named = (v for v in dict.fromkeys((value, local_path(value))) if v)
        for name in named:
            path = Workspace(root).file(name)
            if path.is_file():
                yield str(path) if name.startswith("~") else name


def _measured(name: str, phase: Phase, unit: str) -> Iterator[str]:
    """What measuring a unit leaves."""
    yield from _left(name, phase, unit)
    yield f"results/{name}/{unit}/run.json"


def _paths(sources: Sources, closure: Iterable[Path]) -> list[str]:
    """The modules of a closure; a package that is run whole is named once, as DVC reads long files
    slowly."""
    files = set(closure)
    outside = min((path for path in files if not path.is_relative_to(sources.root)), default=None)
    if outside is not None:
        raise InputError(
            "the package that runs",
            expected=f"the one in {sources.root}",
            got=str(outside),
            cure="run `python -m mahals` there, or `pip install -e .`",
        )
    packages = {path.parent for path in files if path.name == "__init__.py"}
    whole = {folder for folder in packages if files.issuperset(folder.rglob("*.py"))}
    named = {path for path in files | whole if not whole.intersection(path.parents)}
    return sorted(path.relative_to(sources.root).as_posix() for path in named)


def _registered(sources: Sources, phase: Phase) -> list[Any]:
    """What of the registry decides results: organisms' shapes, or the checkpoints of the hub.

    Nothing after organisms: they change with their shapes, and DVC reads a file of values anew
    for each stage that names it.
    """
    weights = sources.params["weights"]
    if "organisms" in upstream_names(phase, weights):
        return []
    parts = HUB if weights == "hub" else ORGANISM
    return [{REGISTRY: [f"{key}.{part}" for key in sources.models for part in parts]}]
