"""Refused settings: is what cannot be used refused by its key, before any work?"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import load_settings
from mahals.records import InputError
from tests.support.places import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Workspace:
    """The project's own params.yaml, overlays and registry, to be changed."""
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    for file in (ROOT / "benchmarks").glob("*.yaml"):
        shutil.copy2(file, tmp_path / "benchmarks")
    return Workspace(tmp_path)


def add(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def test_a_top_level_key_that_nothing_reads_is_refused(project: Workspace) -> None:
    load_settings(project, None, {})
    add(project.params_file, "\nsame_arc: {lambdas: [0]}\n")
    with pytest.raises(InputError, match=r"key in params\.yaml.*did you mean 'same_arch'"):
        load_settings(project, None, {})


def test_a_top_level_key_of_an_overlay_that_nothing_reads_is_refused(project: Workspace) -> None:
    load_settings(project, "smoke", {})
    add(project.root / "benchmarks/smoke.yaml", "\nsiut: {pool: last}\n")
    with pytest.raises(InputError, match=r"key in benchmarks/smoke\.yaml.*did you mean 'suite'"):
        load_settings(project, "smoke", {})
