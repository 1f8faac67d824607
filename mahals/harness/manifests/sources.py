"""Sources: what do the generated files follow from?"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mahals.harness.workspace.model_registry import load_registry, phases_of, trained_pairs
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import TUNING
from mahals.phase import STUDY, Phase
from mahals.phases.registry import STUDIES
from mahals.records import InputError, unknown


@dataclass(frozen=True)
class Sources:
    """What the generated files follow from."""

    workspace: Workspace
    params: Mapping[str, Any]
    project: Mapping[str, Any]
    phases: Mapping[str, Phase]

    @property
    def root(self) -> Path:
        """The repository."""
        return self.workspace.root

    @property
    def models(self) -> tuple[str, ...]:
        """The models of the study, in the order of params.yaml."""
        return tuple(self.params["models"])

    def measured(self, phase: Phase) -> tuple[str, ...]:
        """The units of a phase that are measured, without the one that sums up."""
        if phase.per != "model":
            return (STUDY,)
        if phase.name == TUNING and self.params["weights"] == "hub":
            return trained_pairs(self.models, load_registry(self.workspace))
        return self.models

    @property
    def studied(self) -> dict[str, Phase]:
        """The phases of the study that params.yaml names: what DVC rebuilds."""
        return {name: p for name, p in self.phases.items() if name in self._study}

    @property
    def _study(self) -> tuple[str, ...]:
        named = self.params["study"]
        if named not in STUDIES:
            raise unknown("study", named, STUDIES)
        registry = load_registry(self.workspace)
        return phases_of(STUDIES[named], self.params["weights"], self.models, registry)

    def units(self, phase: Phase) -> tuple[str, ...]:
        """All units of a phase that leave results; the last one sums up."""
        return (*self.measured(phase), STUDY) if phase.per == "model" else (STUDY,)


def read_sources(workspace: Workspace) -> Sources:
    """The sources of a workspace. Raises InputError when a file is missing."""
    return Sources(
        workspace,
        yaml.safe_load(_text(workspace.params_file)),
        tomllib.loads(_text(workspace.root / "pyproject.toml")),
        {name: workspace.phase(name) for name in workspace.names},
    )


def _text(path: Path) -> str:
    text = text_or_none(path)
    if text is None:
        raise InputError(str(path), expected="a file", got="none", cure="run inside the repository")
    return text


def text_or_none(path: Path) -> str | None:
    """What a file holds; None where there is none."""
    return path.read_text(encoding="utf-8") if path.is_file() else None
