"""Completeness: what does a phase lack, and what is there that no phase has?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from mahals.harness.manifests.sources import Sources
from mahals.phase import RUN_KEYS, SHARED_KEYS, SHARED_SECTIONS


def gaps(sources: Sources) -> list[str]:
    """Every piece that a phase lacks, or that no phase has, each as a sentence with its cure."""
    return [*_phase_gaps(sources), *_stray_pieces(sources)]


def _phase_gaps(sources: Sources) -> Iterator[str]:
    for name, phase in sources.phases.items():
        if not isinstance(sources.params.get(name), Mapping):
            yield f"phase {name} has no section in params.yaml: add one with the keys of its Params"
        if not (sources.root / "tests" / "phases" / f"test_{name}.py").is_file():
            yield f"phase {name} has no test: write tests/phases/test_{name}.py"
        if phase.name != name:
            yield f"phase {name} calls itself {phase.name}: define its measure in phases/{name}/"
        before = sources.workspace.names[: sources.workspace.names.index(name)]
        for need in phase.needs:
            if need not in before:
                yield f"phase {name} needs {need}: list {need} before it in phases/registry.py"
        if phase.home and not phase.keeps:
            yield f"phase {name} keeps files in {phase.home}/: name them in its Phase(keeps=...)"


def _stray_pieces(sources: Sources) -> Iterator[str]:
    known = {*sources.phases, *RUN_KEYS, *SHARED_KEYS, *SHARED_SECTIONS}
    for key in sorted(set(sources.params) - known):
        yield f"params.yaml has the key {key}, which is no phase's: remove it or add the phase"
    folders = {p.parent.name for p in sources.root.glob("mahals/phases/*/__init__.py")}
    for name in sorted(folders - set(sources.phases)):
        yield f"mahals/phases/{name} has no phase: add {name} to phases/registry.py"
    known = {*sources.phases, *_stems(sources.root / "mahals/phases", "")}
    for name in sorted(_stems(sources.root / "tests/phases", "test_") - known):
        yield f"tests/phases/test_{name}.py has no phase: add {name} to phases/registry.py"


def _stems(folder: Path, prefix: str) -> set[str]:
    stems = (p.stem for p in folder.glob(f"{prefix}*.py"))
    return {s.removeprefix(prefix) for s in stems if s != "__init__"}
