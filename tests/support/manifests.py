"""Manifests: what do the generated files follow from here, and which stages does DVC see?"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from mahals.harness.manifests.sources import Sources, read_sources
from mahals.harness.workspace.paths import Workspace
from tests.support.places import ROOT


@cache
def sources_here() -> Sources:
    return read_sources(Workspace.locate(ROOT))


@cache
def stages_here() -> dict[str, Any]:
    """The stages as DVC itself resolves them, by name."""
    from dvc.repo import Repo

    with Repo(str(ROOT)) as repo:
        return {stage.addressing: stage for stage in repo.index.stages}


def inside(paths: list[Any]) -> set[str]:
    return {
        Path(str(p.fs_path)).relative_to(ROOT).as_posix() for p in paths if p.protocol == "local"
    }
