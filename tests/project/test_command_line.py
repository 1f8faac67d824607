"""Does a command line answer quickly, and refuse in one clear line?"""

from __future__ import annotations

import ast
import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from mahals.cli import main
from mahals.cli.overrides import KEYED
from tests.support.bare_workspace import bare_workspace
from tests.support.places import ROOT

HEAVY = (
    *("torch", "transformers", "mlflow", "sklearn", "scipy", "pandas", "matplotlib", "numpy"),
    *("rich", "yaml"),
)


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with nothing in it but its two files, which is the current folder."""
    monkeypatch.chdir(bare_workspace(tmp_path))
    return tmp_path


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["study", "-h"]])
def test_help_is_quick_and_imports_nothing_heavy(words: list[str]) -> None:
    script = f"""
import json, resource, sys
from mahals.cli import main
try:
    code = main({words!r})
except SystemExit as stop:
    code = stop.code
used = resource.getrusage(resource.RUSAGE_SELF)
heavy = [name for name in {HEAVY!r} if name in sys.modules]
print("\\n" + json.dumps([code, used.ru_utime + used.ru_stime, heavy]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    code, seconds, heavy = json.loads(done.stdout.splitlines()[-1])
    assert code == 0
    assert heavy == []
    assert seconds < 1.0


def test_every_command_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for name in (
        *KEYED,
        "show",
        "score",
        "publish",
        "leaderboard",
        "export",
        "compare",
        "models",
        "manifests",
        "cache",
    ):
        assert f" {name} " in shown


BAD_LINES = {
    "phase": (["run", "same_arc"], "did you mean 'same_arch'"),
    "key": (["run", "same_arch", "--lambda", "[0]"], "did you mean 'lambdas'"),
    "other phase's key": (["run", "datasets", "--lambdas", "[0]"], "unknown key"),
    "type": (["run", "same_arch", "--lambdas", "much"], "same_arch.lambdas"),
    "model": (["run", "datasets", "--models", "[Mistral7B]"], "did you mean 'Mistral_7B'"),
    "unit": (["run", "baseline_aqi", "--unit", "Mistral"], "did you mean 'Mistral_7B'"),
    "overlay": (["study", "--overlay", "smok"], "did you mean 'smoke'"),
    "engine": (["run", "datasets", "--engine", "locl"], "engine"),
    "study": (["study", "--study", "cor"], "did you mean 'core'"),
    "set": (["run", "datasets", "--set", "seed"], "key=value"),
    "twice": (["run", "datasets", "--seed", "1", "--set", "seed=2"], "give seed once"),
    "gather": (["gather", "datasets"], "expected finished results"),
}


@pytest.mark.parametrize(("words", "part"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_bad_input_is_one_clear_line(
    words: list[str], part: str, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small / "benchmarks" / "smoke.yaml").write_text("{}\n")
    before = sorted(small.rglob("*"))
    assert main([*words, "--dry-run"] if words[0] in ("run", "study") else words) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert part in shown.err
    assert shown.err.startswith("mahals: ")
    assert shown.err.count("\n") == 1
    assert sorted(small.rglob("*")) == before, "something was left behind"
    assert gc.isenabled(), "collections go on after the imports"


def test_outside_a_workspace_the_cure_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["models"]) == 2
    assert "clone of the project" in capsys.readouterr().err


def test_ctrl_c_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("mahals.cli.models.models", stop)
    assert main(["models"]) == 130
    assert "start again to go on" in capsys.readouterr().err


def test_rich_is_imported_where_it_is_needed_alone() -> None:
    """Inside functions of the two modules that draw: neither the start nor a phase pays for it."""
    found: dict[str, list[ast.AST]] = {}
    for path in (ROOT / "mahals").rglob("*.py"):
        tree = ast.parse(path.read_text())
        outside = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            named = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            named += [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if any(name.split(".")[0] == "rich" for name in named):
                found.setdefault(path.relative_to(ROOT / "mahals").as_posix(), []).append(node)
                assert id(node) not in outside, path
    assert set(found) == {"cli/tables.py", "harness/runner/display.py"}
