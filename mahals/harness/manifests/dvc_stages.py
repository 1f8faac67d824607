"""Which DVC stages make a study, what does each build on, and what does it leave?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mahals.harness.manifests.sources import Sources
from mahals.harness.workspace.code_hash import code_closure
from mahals.harness.workspace.settings import upstream_names
from mahals.phase import SHARED_KEYS, STUDY, Phase
from mahals.records import InputError

REGISTRY = "benchmarks/models.yaml"
BOARD = "benchmarks/LEADERBOARD.md"
PUBLISH = "publish"
ORGANISM, HUB = ("organism",), ("base", "aligned")
PERSIST = {"persist": True}
"""Of what was measured: DVC deletes other outs before a stage runs, and one that was killed would
measure again what it had finished. The runner checks the hashes of these, and makes metrics,
summary and figures again from them."""


def pipeline(sources: Sources) -> dict[str, Any]:
    """dvc.yaml: per phase of the study what measures and what gathers, then `publish`."""
    stages: dict[str, Any] = {}
    for name, phase in sources.studied.items():
        stages[name] = _measure_stage(sources, name, phase)
        if phase.per == "model":
            stages[f"{name}_gather"] = _gather_stage(sources, name)
    stages[PUBLISH] = _publish_stage(sources)
    return {"stages": stages}


def stage_of(phase: Phase, unit: str) -> str:
    """The DVC stage that makes the results of a phase's unit."""
    return f"{phase.name}_gather" if phase.per == "model" and unit == STUDY else phase.name


def _measure_stage(sources: Sources, name: str, phase: Phase) -> dict[str, Any]:
    """One stage for all units of a phase: of those, the runner measures what is not valid yet.

    A stage a unit would not measure less, but each `dvc repro` would read the same code and
    upstream results once a unit, and DVC would run the units one after another.
    """
    units = sources.models if phase.per == "model" else (STUDY,)
    which = " --units-only" if phase.per == "model" else ""
    stage: dict[str, Any] = {"cmd": f"python -m mahals run {name} --upstream require{which}"}
    stage["deps"] = [
        *_upstream(sources, phase),
        *sorted(_files_named(sources.root, sources.params.get(name))),
        *_code(sources, name),
    ]
    about_models = [] if phase.reads == "none" else ["models", *_registered(sources, phase)]
    stage["params"] = [name, *phase.shared, *SHARED_KEYS, *about_models]
    stage["outs"] = [out for unit in units for out in _outs(name, phase, unit)]
    stage["metrics"] = [_metric(name, unit) for unit in units]
    return stage


def _gather_stage(sources: Sources, name: str) -> dict[str, Any]:
    """What sums the units up; stale after each new run of a unit, and with other models.

    A unit's run.json tells of its rows, kept files, values and code, which are the gather's too:
    to name them again would cost each `dvc repro` as much time as a unit does.
    """
    folder = f"results/{name}/{STUDY}"
    return {
        "cmd": f"python -m mahals gather {name} --upstream require",
        "deps": [f"results/{name}/{model}/run.json" for model in sources.models],
        "params": ["models"],
        "outs": [f"{folder}/run.json", f"{folder}/summary.json", f"{folder}/figures"],
        "metrics": [_metric(name, STUDY)],
    }


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
        for unit in sources.models if upstream.per == "model" else (STUDY,):
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
    elif isinstance(value, str) and value and (root / value).is_file():
        yield value


def _outs(name: str, phase: Phase, unit: str) -> list[Any]:
    folder = f"results/{name}/{unit}"
    measured = [*_left(name, phase, unit), f"{folder}/run.json"]
    return [
        *({path: {**PERSIST}} for path in measured),
        f"{folder}/summary.json",
        f"{folder}/figures",
    ]


def _metric(name: str, unit: str) -> dict[str, Any]:
    return {f"results/{name}/{unit}/metrics.json": {"cache": False}}


def _code(sources: Sources, name: str) -> list[str]:
    """The modules a phase runs through; a package that is run whole is named once, as DVC reads
    long files slowly."""
    files = set(code_closure(sources.phases[name]))
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
