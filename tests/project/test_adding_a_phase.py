"""Adding a phase: does the page that says how give a phase that stands, runs and is tested?"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from tests.support.light_repository import copy_tree, environment, git, run
from tests.support.places import ROOT

PAGE = (ROOT / "docs/adding-a-phase.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`((?:mahals|tests)/phases/[\w/]+\.py)`")


def files() -> dict[str, str]:
    """The code blocks of the page, each by the path that was named last before it."""
    parts = re.split(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    return {
        NAMED.findall(text)[-1]: code for text, code in zip(parts[::2], parts[1::2], strict=False)
    }


FILES = files()


def follow(root: Path) -> None:
    """The page to the letter, in a copy of the project."""
    copy_tree(root)
    for name, code in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(code, encoding="utf-8")
    registry = root / "mahals/phases/registry.py"
    text = registry.read_text()
    text = text.replace('    "replication",\n)', '    "replication",\n    "norms",\n)', 1)
    core = '        "cross_arch",\n    ),'
    text = text.replace(core, core.replace("    ),", '        "norms",\n    ),'))
    registry.write_text(text)
    readme = root / "README.md"
    rows = re.findall(r"^\| `\w+` \| [^|]+\? \|$", readme.read_text(), re.MULTILINE)
    row = "| `norms` | how long is the residual stream in each block of each model? |"
    readme.write_text(readme.read_text().replace(rows[-1], f"{rows[-1]}\n{row}"))
    (section,) = re.findall(r"```yaml\n(norms:.*?)```", PAGE, re.DOTALL)
    with (root / "params.yaml").open("a") as params:
        params.write(section)
    run(root, "python", "-m", "mahals", "manifests")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=norms")


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("norms") / "project"
    follow(root)
    return root


def test_the_page_holds_every_file_of_a_phase() -> None:
    parts = ("__init__", "rows", "measure", "report", "figures")
    wanted = {f"mahals/phases/norms/{part}.py" for part in parts} | {"tests/phases/test_norms.py"}
    assert set(FILES) == wanted
    for code in FILES.values():
        assert "?" in str(ast.get_docstring(ast.parse(code))).splitlines()[0]


def test_what_follows_is_generated(followed: Path) -> None:
    points = yaml.safe_load((followed / "MLproject").read_text())["entry_points"]
    stages = yaml.safe_load((followed / "dvc.yaml").read_text())["stages"]
    assert points["norms"] == {"command": "python -m mahals run norms"}
    assert {"norms", "norms_gather"} <= set(stages)
    outs = [str(out) for out in stages["norms"]["outs"]]
    assert any("results/norms/Mistral_7B/rows.jsonl" in out for out in outs)


def test_its_own_test_is_green(followed: Path) -> None:
    env = environment(PYTHONPATH=str(followed))
    run(followed, "python", "-m", "pytest", "-q", "-n", "0", "tests/phases/test_norms.py", env=env)


@pytest.mark.slow
def test_the_phase_is_green_in_the_checks_of_the_project(followed: Path) -> None:
    """Those of the layout, the names, the pages and the manifests."""
    env = environment(PYTHONPATH=str(followed))
    names = ("test_layout.py", "test_names.py", "test_docs.py", "test_manifests.py")
    tests = [f"tests/project/{name}" for name in names]
    run(followed, "python", "-m", "pytest", "-q", "-n", "0", *tests, env=env)
    run(followed, "python", "-m", "ruff", "check", "mahals/phases/norms", env=env)
    run(followed, "python", "-m", "ruff", "format", "--check", "mahals/phases/norms", env=env)
    run(followed, "python", "-m", "mahals", "manifests", "--check", env=env)


@pytest.mark.slow
def test_the_phase_measures_is_drawn_and_drawn_again(followed: Path) -> None:
    env = environment(PYTHONPATH=str(followed))
    smoke = ("--overlay", "smoke", "--models", "[Mistral_7B]")
    printed = run(followed, "python", "-m", "mahals", "run", "norms", *smoke, env=env).stdout
    assert "mean norm" in printed and "after the last block" in printed
    runs = list((followed / ".mahals/runs").glob("*/figures/norms.png"))
    assert runs, "the figure is there"
    before = {path: path.parents[1].joinpath("rows.jsonl") for path in runs}
    times = {path: path.stat().st_mtime_ns for path in before.values() if path.is_file()}
    assert times
    report = followed / "mahals/phases/norms/report.py"
    report.write_text(report.read_text().replace("mean norm", "a mean norm of"))
    printed = run(followed, "python", "-m", "mahals", "run", "norms", *smoke, env=env).stdout
    assert "a mean norm of" in printed
    assert times == {path: path.stat().st_mtime_ns for path in times}, "nothing was measured"
