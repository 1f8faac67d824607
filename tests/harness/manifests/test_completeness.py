"""Completeness: is a phase that lacks a piece told the cure?"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from mahals.harness.manifests.completeness import gaps
from mahals.harness.manifests.sources import Sources
from mahals.harness.workspace.paths import Workspace
from mahals.phases.registry import PHASES


def test_a_phase_without_its_pieces_is_told_the_cure(sources: Sources, tmp_path: Path) -> None:
    params = {key: value for key, value in sources.params.items() if key != "same_arch"}
    broken = replace(sources, params={**params, "same_ark": {}}, workspace=Workspace(tmp_path))
    found = "\n".join(gaps(broken))
    assert "phase same_arch has no section in params.yaml: add one" in found
    assert "params.yaml has the key same_ark" in found
    for name in PHASES:
        assert f"write tests/phases/test_{name}.py" in found


def test_a_phase_after_what_it_needs(sources: Sources) -> None:
    turned = replace(sources.workspace, names=tuple(reversed(PHASES)))
    found = gaps(replace(sources, workspace=turned))
    wanted = {(n, need) for n, phase in sources.phases.items() for need in phase.needs}
    matches = [re.match(r"phase (\w+) needs (\w+)", line) for line in found]
    named = {match.groups() for match in matches if match}
    assert named == wanted


def test_a_test_of_no_phase_is_told_and_that_of_the_registry_is_not(
    sources: Sources, tmp_path: Path
) -> None:
    for folder in ("mahals/phases", "tests/phases"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("mahals/phases/registry", "tests/phases/test_registry", "tests/phases/test_old"):
        (tmp_path / f"{name}.py").touch()
    found = gaps(replace(sources, workspace=Workspace(tmp_path)))
    strays = [line for line in found if line.startswith("tests/")]
    assert strays == ["tests/phases/test_old.py has no phase: add old to phases/registry.py"]
