"""Are dependencies, sizes, first lines and what git sees as the project says?"""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.light_repository import ROOT

AT_IMPORT = {
    "torch",
    "transformers",
    "numpy",
    "scipy",
    "sklearn",
    "safetensors",
    "tokenizers",
    "yaml",
}
SHELL = ("cli", "runner", "engines", "manifests", "tracking", "leaderboard", "workspace")


def top_level_imports(path: Path) -> set[str]:
    """The packages a module imports when it is imported: not those in functions or for types."""
    found = set()
    waiting: list[ast.stmt] = list(ast.parse(path.read_text()).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            waiting += [n for n in ast.iter_child_nodes(node) if isinstance(n, ast.stmt)]
    return found


def test_below_the_shell_few_packages_are_imported() -> None:
    """A bare GPU node runs phases with torch, transformers, numpy, scipy, sklearn, safetensors."""
    for path in sorted((ROOT / "mahals").rglob("*.py")):
        band = path.relative_to(ROOT / "mahals").parts[0].removesuffix(".py")
        if band not in SHELL and band not in ("mlflow_plugin", "__main__", "__init__"):
            foreign = top_level_imports(path) - set(sys.stdlib_module_names) - {"mahals"}
            assert foreign <= AT_IMPORT, path


def test_dependencies_are_used_and_used_ones_are_declared() -> None:
    """Set equality of pyproject's dependencies and what the package imports."""
    project = importlib.metadata.distribution
    names = {"sklearn": "scikit-learn", "yaml": "pyyaml"}
    said = {d.split(">")[0] for d in _pyproject()["dependencies"]}
    used = set()
    for path in (ROOT / "mahals").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                used |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                used.add(str(node.module).split(".")[0])
    used -= {*sys.stdlib_module_names, "mahals"}
    brought = {"tokenizers", "huggingface_hub", "jinja2"}  # by transformers
    optional = {"nashpy", "openai", "pygambit", "quantecon", "ray"}
    by_itself = {"dvc", "ruamel.yaml.clib"}  # a program, and what it reads YAML fast with
    by_itself |= {"accelerate", "gguf"}  # transformers reads GGUF files with these
    assert {names.get(u, u) for u in used - brought - optional} | by_itself == said
    assert all(project(name) for name in said)


def test_the_lock_satisfies_every_dependency() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    text = (ROOT / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE))
    for said in (*_pyproject()["dependencies"], *_pyproject()["optional-dependencies"]["dev"]):
        wanted = Requirement(said)
        assert wanted.specifier.contains(locked[canonicalize_name(wanted.name)]), said
    assert len(re.findall(r"^\S+==", text, re.MULTILINE)) <= text.count("--hash=sha256:")
    assert "/" not in "".join(line for line in text.splitlines() if line[:1].isalpha())


def own_files() -> list[Path]:
    """The package and its benchmarks."""
    return sorted(path for name in ("mahals", "benchmarks") for path in (ROOT / name).rglob("*.py"))


def test_files_and_functions_are_small() -> None:
    for path in own_files():
        text = path.read_text()
        assert text.count("\n") <= 300, f"{path} is long: make it a package"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno is not None
                assert node.end_lineno - node.lineno < 40, f"{path}: {node.name} is long"


def test_first_lines_are_questions() -> None:
    for path in own_files():
        first = (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[:1]
        assert first and "?" in first[0], path


def test_git_sees_data_and_results_but_not_what_dvc_keeps() -> None:
    kept = ["results/a/b/rows.jsonl", "results/a/b/kept/x", "results/a/b/run.json", "data/a.jsonl"]
    kept += ["results/a/b/figures/f.png", "results/a/b/summary.json", ".mahals/x", "mlflow.db"]
    seen = ["results/a/b/metrics.json", "data/README", "dvc.lock", "benchmarks/LEADERBOARD.md"]
    seen += ["results/a/b/report.md"]
    for name, ignored in [*((k, True) for k in kept), *((s, False) for s in seen)]:
        asked = subprocess.run(["git", "check-ignore", "-q", name], cwd=ROOT, check=False)
        assert (asked.returncode == 0) == ignored, name


def test_ci_script_is_bash_that_parses() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert "set -euo pipefail" in script.read_text()


def _pyproject() -> dict[str, Any]:
    import tomllib

    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def test_dvc_reads_its_lock_with_a_parser_in_c() -> None:
    """Without it the second `dvc repro` of six models spends seconds on reading dvc.lock."""
    from ruamel.yaml import YAML

    assert YAML(typ="safe").Parser.__name__ == "CParser"


def test_importing_mahals_is_light() -> None:
    code = "import sys, mahals; print(sorted({'mlflow', 'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
