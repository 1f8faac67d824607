"""Sources: what is read for the generated files, and what is said where it is not there?"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from mahals.harness.manifests.sources import Sources, read_sources, text_or_none
from mahals.harness.workspace.paths import Workspace
from mahals.phases.registry import PHASES, STUDIES
from tests.support.places import ROOT
from tests.support.tiny_lab import refused


def test_the_sources_are_the_files_and_the_phases(sources: Sources) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    assert sources.params == params and sources.root == ROOT
    assert sources.models == tuple(params["models"])
    assert tuple(sources.phases) == PHASES
    assert tuple(sources.studied) == tuple(n for n in PHASES if n in STUDIES[params["study"]])
    for phase in sources.phases.values():
        several = [*params["models"], "study"] if phase.per == "model" else ["study"]
        assert list(sources.units(phase)) == several


@pytest.mark.parametrize("lost", ["params.yaml", "pyproject.toml"])
def test_a_file_that_is_not_there_is_named(tmp_path: Path, lost: str) -> None:
    for name in {"params.yaml", "pyproject.toml"} - {lost}:
        shutil.copy(ROOT / name, tmp_path)
    said = str(refused(lambda: read_sources(Workspace(tmp_path))))
    assert str(tmp_path / lost) in said and "run inside the repository" in said


def test_an_unknown_study_is_told_the_known_ones(sources: Sources) -> None:
    odd = replace(sources, params={**sources.params, "study": "cor"})
    assert "did you mean 'core'" in str(refused(lambda: odd.studied))


def test_a_file_that_is_absent_has_no_text(tmp_path: Path) -> None:
    assert text_or_none(tmp_path / "a") is None and text_or_none(tmp_path) is None
    (tmp_path / "a").write_text("\u00e9", encoding="utf-8")
    assert text_or_none(tmp_path / "a") == "\u00e9"
