"""Generator: is what is stale written again, and the same every time?"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from mahals.harness.manifests.generate import generated, stale, write
from mahals.harness.manifests.sources import Sources, read_sources
from mahals.harness.workspace.paths import Workspace
from tests.support.places import ROOT


def test_what_is_stale_is_written_again(sources: Sources, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setattr("mahals.harness.manifests.dvc_stages.code_closure", lambda phase: ())
    monkeypatch.setattr("mahals.harness.manifests.dvc_stages.telling_closure", lambda phase: ())
    elsewhere = replace(sources, workspace=Workspace(tmp_path))
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(ROOT / "benchmarks/models.yaml", tmp_path / "benchmarks")
    names = {"MLproject", "conda.yaml", "dvc.yaml"}
    assert set(write(elsewhere)) == names
    assert stale(elsewhere) == []
    (tmp_path / "conda.yaml").write_text("name: other\n")
    assert stale(elsewhere) == ["conda.yaml"]
    assert write(elsewhere) == ["conda.yaml"]
    assert {p.name for p in tmp_path.iterdir()} == {*names, "benchmarks"}


def test_generated_text_is_the_same_every_time(sources: Sources) -> None:
    assert generated(sources) == generated(read_sources(Workspace.locate(ROOT)))
