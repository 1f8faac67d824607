"""Fingerprints: does what only tells, draws, names or schedules stay out of them?"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from mahals.harness.workspace.code_hash import code_closure, telling_closure
from mahals.harness.workspace.fingerprint import Resolver
from mahals.harness.workspace.results import Results
from mahals.phases.registry import PHASES, load_phase
from mahals.records import digest
from tests.support import toy_study as toy
from tests.support.places import ROOT

TOLD_ONLY = (
    "cli/run.py",
    "harness/engines/pool.py",
    "harness/leaderboard/ranking.py",
    "harness/manifests/dvc_stages.py",
    "harness/runner/lookahead.py",
    "harness/runner/progress.py",
    "harness/runner/study.py",
    "harness/tracking/runs.py",
    "phases/registry.py",
    "phases/same_arch/__init__.py",
    "phases/same_arch/report/sweep.py",
    "phases/same_arch/figures/__init__.py",
    "phases/organisms/report.py",
    "reporting/entries.py",
    "reporting/plots/bars.py",
    "reporting/plots/sheet.py",
)
"""Some of what no fingerprint may hold; `test_no_telling_is_in_a_fingerprint` knows them all."""

MEASURES = {
    "phases/same_arch/measure/sweep.py": {"same_arch"},
    "phases/recovery/rows.py": {"recovery"},
    "evaluation/transfer/best_source.py": {"recovery", "equilibrium"},
    "maths/transfer/linear.py": {"cross_arch", "recovery", "equilibrium"},
    "models/organisms/training.py": {"organisms"},
    "harness/runner/worker.py": set(PHASES),
    "phase.py": set(PHASES),
}
"""A module, and the phases that are measured through it."""

NEW = '''"""How new is it?"""

from mahals.phase import Cost, Phase

PHASE = Phase(__name__, needs=(), per="study", cost=Cost(1.0, 1.0))
'''
MARKS = (
    "import json\n"
    "from mahals.harness.workspace.code_hash import code_digest, telling_digest\n"
    "from mahals.phases.registry import PHASES, load_phase\n"
    "found = {n: [f(load_phase(n)) for f in (code_digest, telling_digest)] for n in PHASES}\n"
    "print(json.dumps(found))\n"
)
Marks = dict[str, list[str]]  # phase -> the hash of what measures it, of what tells it


def inside(files: tuple[Path, ...]) -> set[str]:
    return {path.relative_to(ROOT / "mahals").as_posix() for path in files}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the package."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "mahals", tmp_path / "mahals", ignore=ignore)
    return tmp_path


def marks(root: Path) -> Marks:
    """Of the package in this folder, by a process of its own."""
    environment = {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MARKS], env=environment, capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Marks:
    """Of the package as it stands."""
    root = tmp_path_factory.mktemp("before")
    (root / "mahals").symlink_to(ROOT / "mahals")
    return marks(root)


def touched(root: Path, name: str) -> None:
    path = root / "mahals" / name
    path.write_text(path.read_text() + "# a comment\n")


def measured_anew(before: Marks, after: Marks) -> set[str]:
    return {name for name in before if before[name][0] != after[name][0]}


def test_a_changed_byte_in_what_only_tells_changes_no_fingerprint(
    copied: Path, before: Marks
) -> None:
    for name in TOLD_ONLY:
        touched(copied, name)
    after = marks(copied)
    assert measured_anew(before, after) == set()
    assert all(before[name][1] != after[name][1] for name in PHASES), "all are drawn again"


def test_a_changed_sentence_is_told_again_by_its_phase_alone(copied: Path, before: Marks) -> None:
    touched(copied, "phases/recovery/report/recovery_rate.py")
    after = marks(copied)
    assert measured_anew(before, after) == set()
    assert {name for name in PHASES if before[name][1] != after[name][1]} == {"recovery"}


@pytest.mark.parametrize(("name", "phases"), MEASURES.items())
def test_a_changed_byte_in_what_measures_changes_the_phases_that_run_it(
    name: str, phases: set[str], copied: Path, before: Marks
) -> None:
    touched(copied, name)
    assert measured_anew(before, marks(copied)) == phases


def test_a_phase_that_is_added_changes_no_other(copied: Path, before: Marks) -> None:
    folder = copied / "mahals/phases/newness"
    folder.mkdir()
    (folder / "__init__.py").write_text(NEW)
    for part in ("rows", "measure", "report", "figures"):
        (folder / f"{part}.py").write_text(f'"""{part} of newness: which?"""\n')
    registry = copied / "mahals/phases/registry.py"
    text = registry.read_text()
    registry.write_text(
        text.replace('    "replication",\n)', '    "replication",\n    "newness",\n)')
    )
    after = marks(copied)
    assert set(after) == {*before, "newness"}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("name", PHASES)
def test_no_telling_is_in_a_fingerprint(name: str) -> None:
    measuring = inside(code_closure(load_phase(name)))
    foreign = ("cli/", "reporting/", "harness/tracking/", "harness/leaderboard/")
    scheduling = ("harness/manifests/", "harness/engines/")
    assert not [f for f in measuring if f.startswith((*foreign, *scheduling))]
    own = [f for f in measuring if f.startswith("phases/") and f != "phases/__init__.py"]
    assert all(f.startswith((f"phases/{name}/rows", f"phases/{name}/measure")) for f in own)
    runner = {f for f in measuring if f.startswith("harness/runner/")} - {
        "harness/runner/__init__.py"
    }
    parts = ("hub_roles", "journal", "keeping", "lab", "worker")
    assert runner == {f"harness/runner/{part}.py" for part in parts}


@pytest.mark.parametrize("name", PHASES)
def test_telling_hangs_on_nothing_that_measures(name: str) -> None:
    telling = inside(telling_closure(load_phase(name)))
    assert not [f for f in telling if f.startswith(("models/", "evaluation/"))]
    assert not [f for f in telling if f.startswith(f"phases/{name}/measure")]


def rewritten(results: Results) -> None:
    """Other rows under the same fingerprint, as another machine may leave them."""
    rows = results.folder / "rows.jsonl"
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    lines[0]["value"] += 1.0
    rows.write_text("".join(f"{json.dumps(line, sort_keys=True)}\n" for line in lines))
    run: dict[str, Any] = json.loads((results.folder / "run.json").read_text())
    run["rows"] = sha256(rows.read_bytes()).hexdigest()
    run["content"] = digest({"rows": run["rows"], "kept": run["kept"]})
    (results.folder / "run.json").write_text(json.dumps(run))


def test_two_contents_under_one_fingerprint_are_told_apart_downstream(tmp_path: Path) -> None:
    """An organism is another one on another CPU: what was measured on the first is not its own."""
    workspace = toy.make(tmp_path)
    toy.run(workspace, "cross")
    settings = toy.settings_of(workspace)
    resolver = Resolver(workspace, settings)
    first, crossed = resolver.find("grow", "A"), resolver.fingerprint("cross", "A")
    assert first is not None and resolver.find("cross", "A") is not None
    rewritten(first)
    after = Resolver(workspace, settings)
    assert after.fingerprint("grow", "A") == first.fingerprint, "the same values and code"
    assert after.find("grow", "A") is not None, "and whole"
    assert after.fingerprint("cross", "A") != crossed
    assert after.find("cross", "A") is None


@pytest.mark.parametrize("name", PHASES)
def test_what_is_outside_of_a_fingerprint_gives_what_measures_only_names(name: str) -> None:
    """The package's face, the list of phases and a phase's own declaration are not hashed."""
    outside = {"mahals", "mahals.phases.registry", f"mahals.phases.{name}"}
    for path in code_closure(load_phase(name)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in outside:
                taken = {alias.name for alias in node.names}
                modules = {p.stem for p in (ROOT / node.module.replace(".", "/")).glob("*")}
                assert taken <= {"PHASES", "STUDIES", *modules}, path
