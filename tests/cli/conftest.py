"""Fixtures: the repository as the current folder, workspaces with some results, a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from mahals.harness.manifests import dvc_stages
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from tests.support.bare_workspace import bare_workspace
from tests.support.kept_answers import FILE, UNIT, answered_rows, lines_of
from tests.support.places import ROOT
from tests.support.synthetic_results import MODELS, Made, entry, steered, workspace, write_results
from tests.support.terminal import Terminal, sixty_columns, tell_at_once


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with nothing in it but its two files, which is the current folder."""
    monkeypatch.chdir(bare_workspace(tmp_path))
    return tmp_path


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Results]:
    """Two stored results with a leaderboard line each; the current folder is theirs."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / dvc_stages.BOARD).parent.mkdir()
    place = workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    return [
        write_results(place, Made(unit=unit, entries=[entry(steered(unit), 6.0)]))
        for unit in MODELS[:2]
    ]


@pytest.fixture
def told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is taken to be long."""
    tell_at_once(monkeypatch)


@pytest.fixture
def terminal(told_at_once: None, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 60 columns and 12 lines."""
    return sixty_columns(monkeypatch)


@pytest.fixture
def answered(small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with a unit whose arms kept their answers; the current folder."""
    rows, answers = answered_rows()
    evidence = save({"answered_clusters": torch.arange(4)})
    kept = {Path(FILE).name: lines_of(answers).encode(), "add-raw.safetensors": evidence}
    monkeypatch.setattr(Results, "rows", lambda self: tuple(rows))
    suite = {"params": {"suite": {"dose_kl": 0.1}}}
    write_results(Workspace(small), Made(unit=UNIT, kept=kept, inputs=suite))
    return small
