"""Code hash: does it follow just the code that a result runs through?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mahals.harness.workspace import code_hash as closure
from mahals.harness.workspace.code_hash import code_closure, code_digest
from mahals.harness.workspace.paths import Workspace
from mahals.phases.registry import PHASES, load_phase
from tests.support import toy_study as toy
from tests.support.places import ROOT

PACKAGE = Path(closure.__file__).parents[2]


def test_the_closure_holds_all_that_importing_the_phase_and_runner_loads() -> None:
    code = (
        "import sys, tests.support.toy_phases.cross.measure, mahals.harness.runner.lab, "
        "mahals.harness.runner.worker, mahals.harness.workspace.settings\n"
        "print(*[m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'mahals'])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    ).stdout.split()
    workspace = Workspace(Path(), "tests.support.toy_phases", toy.NAMES)
    files = {str(path) for path in code_closure(workspace.phase("cross"))}
    assert len(loaded) > 15
    named = {str(PACKAGE / name) for name in ("__init__.py", "phases/registry.py")}
    assert set(loaded) - named <= files
    inside = {path for path in files if "/mahals/models/" in path}
    assert any(path.endswith("checkpoint.py") for path in inside)  # imported in a function


def test_no_phase_reaches_another_nor_what_only_shows_results() -> None:
    for name in PHASES:
        files = [p.relative_to(PACKAGE).as_posix() for p in code_closure(load_phase(name))]
        assert f"phases/{name}/rows.py" in files
        own = [f for f in files if f.startswith("phases/") and f != "phases/__init__.py"]
        parts = (f"phases/{name}/rows", f"phases/{name}/measure")
        assert all(f.startswith(parts) for f in own), name
        telling = ("cli/", "reporting/", "harness/tracking/", "harness/leaderboard/")
        scheduling = ("harness/manifests/", "harness/engines/", "harness/runner/progress")
        assert not [f for f in files if f.startswith((*telling, *scheduling))], name


def test_type_checking_imports_are_not_code(tmp_path: Path) -> None:
    source = tmp_path / "m.py"
    source.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from mahals.maths.stats.intervals import Interval\n"
        "else:\n    import mahals.harness.engines\n"
        "def f():\n    from mahals import records\n"
    )
    assert set(closure._imports("m", source)) == {
        "mahals", "mahals.harness.engines", "mahals.records",
    }  # fmt: skip
    inside = tmp_path / "__init__.py"
    inside.write_text("from . import a\nfrom .b import c\nfrom .. import d\n")
    found = set(closure._imports("mahals.x", inside))
    assert found >= {"mahals.x.a", "mahals.x.b", "mahals.x.b.c", "mahals.d"}


def test_the_code_hash_follows_a_file_of_the_closure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phase = Workspace(Path(), "tests.support.toy_phases", toy.NAMES).phase("grow")
    file = tmp_path / "a.py"
    file.write_text("x = 1\n")
    monkeypatch.setattr(closure, "_closure", lambda roots, outside: (file,))
    first = code_digest(phase)
    assert code_digest(phase) == first
    file.write_text("x = 22\n")
    assert code_digest(phase) != first
