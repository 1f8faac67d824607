"""Layout: does each folder hold what its name says, and does each module stand where it is used?"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import grimp
import pytest
import yaml

from mahals.phases.registry import PHASES
from tests.project.house_counts import House, executed, top_level
from tests.support.places import ROOT

PACKAGE, TESTS = ROOT / "mahals", ROOT / "tests"
FOLDERS = ("cli", "harness", "phases", "evaluation", "reporting", "models", "data", "maths")
MODULES = ("phase.py", "schema.py", "records.py", "usage.py", "kernels.py")
PARTS = ("figures", "measure", "report", "rows")
FORETOLD = ("workload",)  # what a phase may say of itself before it runs

UNTESTED_ALONE: dict[str, str] = {
    "data/texts.py": "records of texts, without code",
    "maths/metrics/token_means.py": "records of means, without code",
    "models/judges/judge.py": "types of judges and their records",
    "models/organisms/schedule.py": "records of a training",
}
"""Modules without a test file of their own, and why."""


def stems(folder: Path) -> list[str]:
    """Modules and packages in a folder, without its __init__."""
    there = {p.stem for p in folder.glob("*.py")} | {p.parent.name for p in folder.glob("*/*.py")}
    return sorted(there - {"__init__", "__pycache__"})


def test_the_top_level_shows_the_architecture() -> None:
    assert top_level(ROOT) == sorted((*FOLDERS, *MODULES))


@pytest.mark.parametrize("name", PHASES)
def test_a_phase_is_its_four_parts(name: str) -> None:
    folder = PACKAGE / "phases" / name
    parts = [part for part in stems(folder) if part not in FORETOLD]
    assert parts == list(PARTS), (
        f"mahals/phases/{name} holds {parts}: a phase is rows, measure, report and figures; "
        "what two phases share stands in evaluation/ or reporting/"
    )


def test_every_folder_of_phases_is_listed() -> None:
    assert set(stems(PACKAGE / "phases")) == {*PHASES, "registry"}


def test_packages_are_no_faces() -> None:
    """A name is imported from the module that defines it: a face pulls its whole package along."""
    for path in sorted(PACKAGE.rglob("__init__.py")):
        where = path.parent.relative_to(PACKAGE).as_posix()
        if where in (".", "cli"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        for node in executed(tree):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("mahals"):
                passed = {alias.asname or alias.name for alias in node.names} - used
                assert not passed, f"mahals/{where}/__init__.py only passes {passed} on"


def test_what_two_phases_share_has_two_users() -> None:
    """A module of evaluation or reporting that one phase alone uses moves into that phase."""
    graph = grimp.build_graph("mahals", cache_dir=None)
    for module in sorted(graph.modules):
        if not module.startswith(("mahals.evaluation.", "mahals.reporting.")):
            continue
        if graph.find_children(module):
            continue
        users = graph.find_modules_that_directly_import(module)
        phases = {u.split(".")[2] for u in users if u.startswith("mahals.phases.")}
        shared = {u for u in users if not u.startswith("mahals.phases.")}
        cure = f"move it to mahals/phases/{min(phases, default='?')}, or delete it"
        assert len(phases) > 1 or shared, f"{module} has one user among phases, {phases}: {cure}"


def test_telling_needs_no_torch() -> None:
    """Where torch cannot be imported at all, every report and figure of every phase can be."""
    parts = [f"mahals.phases.{n}.{p}" for n in PHASES for p in ("rows", "report", "figures")]
    code = (
        "import sys, importlib\n"
        "sys.modules['torch'] = sys.modules['transformers'] = None\n"
        f"for name in {parts!r}: importlib.import_module(name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_only_manifests_know_the_formats_of_dvc() -> None:
    house = House(ROOT)
    formats = re.compile(r"dvc\.(yaml|lock)")
    inside = ("mahals.harness.manifests", "mahals.cli")  # the command line says what it wrote
    for name, text in house.text.items():
        code = "\n".join(line.partition("#")[0] for line in text.splitlines())
        strings = re.sub(r'""".*?"""', "", code, flags=re.S)
        if not name.startswith(inside):
            assert not formats.search(strings), f"{name} knows a file of DVC: ask manifests"


def modules() -> list[Path]:
    """The modules that hold code, from the package's folder; a phase's parts are tested by name."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        of_phase = inside.parts[0] == "phases" and len(inside.parts) > 2
        if path.name not in ("__init__.py", "__main__.py") and not of_phase:
            found.append(inside)
    return found


def test_every_module_has_its_test_beside_it() -> None:
    lacking = {
        path.as_posix()
        for path in modules()
        if not (TESTS / path.with_name(f"test_{path.name}")).is_file()
    }
    for path in sorted(lacking - set(UNTESTED_ALONE)):
        test = Path("tests") / Path(path).with_name(f"test_{Path(path).name}")
        pytest.fail(f"mahals/{path} has no test: write {test}")
    assert set(UNTESTED_ALONE) <= lacking, "these have a test now: take them off the list"


def test_every_test_stands_beside_what_it_tests() -> None:
    there = {p.with_name(f"test_{p.name}").as_posix() for p in modules()}
    for path in sorted(TESTS.rglob("test_*.py")):
        inside = path.relative_to(TESTS)
        if inside.parts[0] == "project":
            continue
        if inside.parts[0] == "phases":
            named = inside.parts[1].removeprefix("test_").removesuffix(".py")
            known = named in PHASES or inside.as_posix() in there
        else:
            known = inside.as_posix() in there
        assert known, f"tests/{inside} tests no module of that place: move it, or to tests/project/"


def test_no_test_inserts_a_path() -> None:
    pattern = re.compile(r"sys\.path(\.(insert|append|extend)|\[.*\] *=)")
    for path in [*TESTS.rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]:
        assert not pattern.search(path.read_text(encoding="utf-8")), path


def test_the_bands_are_held_by_the_linter() -> None:
    """import-linter's own reading of the contracts, so that `pytest` alone goes red too."""
    code = (
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_params_name_the_phases() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert {key for key in params if key in PHASES} == set(PHASES)
