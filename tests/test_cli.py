"""Does a command line do what it says, quickly, and refuse in one clear line?"""

from __future__ import annotations

import ast
import fcntl
import gc
import io
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mahals.cli import build_parser, main
from mahals.cli.overrides import FLAGS, KEYED, OPTIONS, assignments, split
from mahals.cli.tables import table
from mahals.records import InputError
from tests.support.places import ROOT

HEAVY = (
    *("torch", "transformers", "mlflow", "sklearn", "scipy", "pandas", "matplotlib", "numpy"),
    *("rich", "yaml"),
)


class Terminal(io.StringIO):
    """What a terminal was told."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace with nothing in it but its two files."""
    (tmp_path / "benchmarks").mkdir()
    for name in ("params.yaml", "benchmarks/models.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.chdir(tmp_path)
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
    for name in (*KEYED, "publish", "leaderboard", "export", "models", "manifests", "cache"):
        assert f" {name} " in shown


def test_flags_and_options_are_those_of_the_parser() -> None:
    """What `split` leaves to the parser is what the parser of a keyed command knows."""
    commands = next(a for a in build_parser()._actions if a.dest == "command").choices
    known: set[str] = {"--version", "--check", "--prune"}
    takes_value = set()
    for name in KEYED:
        for action in commands[name]._actions:
            known |= set(action.option_strings)
            if action.option_strings and action.nargs is None:
                takes_value |= set(action.option_strings)
    assert takes_value == set(OPTIONS)
    assert known == {*FLAGS, *OPTIONS}


def test_keys_are_taken_from_anywhere_on_the_line() -> None:
    words = ["run", "--source", "Mistral_7B", "cross_arch", "--unit", "A", "--lambdas=[0, 0.5]"]
    words += ["--dry-run", "--dose", "-0.5", "--same_arch.lambdas", "[0, 1]", "--rate", "1e-3"]
    taken = split(words, FLAGS, OPTIONS)
    assert taken.known == ("run", "cross_arch", "--unit", "A", "--dry-run")
    assert taken.keys == {
        "source": "Mistral_7B",
        "lambdas": [0, 0.5],
        "dose": -0.5,
        "same_arch.lambdas": [0, 1],
        "rate": 0.001,
    }


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{3,12}(\.[a-z_]{1,9})?", fullmatch=True),
        st.one_of(st.integers(), st.booleans(), st.lists(st.integers(0, 9)), st.just("Mistral_7B")),
    )
)
def test_values_survive_the_command_line(keys: dict[str, object]) -> None:
    as_text = {key: json.dumps(value) for key, value in keys.items()}
    words = [word for key, text in as_text.items() for word in (f"--{key}", text)]
    reserved = {option.removeprefix("--") for option in (*FLAGS, *OPTIONS)}
    if not reserved & set(keys):
        assert split(["run", *words], FLAGS, OPTIONS).keys == keys
    assert assignments([f"{key}={text}" for key, text in as_text.items()]) == keys


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["run", "--lambdas"], "a value after it"),
        (["run", "--a", "1", "--a=2"], "give a once"),
        (["run", "--a", "[1, "], "YAML"),
    ],
)
def test_a_key_that_cannot_be_read_is_refused(words: list[str], part: str) -> None:
    with pytest.raises(InputError, match=part):
        split(words, FLAGS, OPTIONS)


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


def test_models_shows_every_entry_of_the_registry(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models"]) == 0
    heads, _, *lines = capsys.readouterr().out.splitlines()
    entries = yaml.safe_load((ROOT / "benchmarks/models.yaml").read_text())
    assert {line.split()[0] for line in lines} == set(entries)
    for line in lines:
        entry = entries[line.split()[0]]
        for fact in ("family", "pair", "layers", "width", "licence"):
            assert str(entry[fact]) in line
    assert heads.split()[0] == "key"
    assert heads.endswith("here")


def test_dry_run_names_tasks_and_missing_upstreams_and_makes_nothing(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(small.rglob("*"))
    assert main(["run", "baseline_aqi", "--models", "[Llama3_8B]", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    for name in ("datasets", "organisms", "baseline_aqi"):
        assert name in shown
    assert "3 of 3 units to do" in shown
    assert "waits for upstream" in shown
    assert sorted(small.rglob("*")) == before


def test_cache_shows_sizes_and_prunes(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("journal/a", "runs/b", "cache/c"):
        (small / ".mahals" / name).mkdir(parents=True)
        (small / ".mahals" / name / "file").write_bytes(b"x" * 2_000_000)
    assert main(["cache"]) == 0
    assert capsys.readouterr().out.count("2.0 MB") == 3
    lock = small / ".mahals" / "journal" / "a.lock"
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert main(["cache", "--prune"]) == 2
        assert "no run under way" in capsys.readouterr().err
        assert (small / ".mahals/runs/b/file").is_file()
    assert main(["cache", "--prune"]) == 0
    assert not (small / ".mahals/runs").exists()
    assert capsys.readouterr().out.count("0.0 MB") == 3


def test_export_writes_what_torch_reads_without_unpickling_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch
    from safetensors.torch import save_file

    values = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    kept, out = tmp_path / "svd_k.safetensors", tmp_path / "svd_k.pth"
    save_file({"values": values}, kept)
    assert main(["export", str(kept), str(out)]) == 0
    assert "values (3, 4)" in capsys.readouterr().out
    (name, read), *more = torch.load(out, weights_only=True).items()
    assert (name, more) == ("values", []) and torch.equal(read, values)
    kept.write_bytes(kept.read_bytes()[:-1])
    for source, target in ((kept, tmp_path / "b.pth"), (tmp_path / "absent", out)):
        assert main(["export", str(source), str(target)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, kept.name]


def test_ctrl_c_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("mahals.cli.show.models", stop)
    assert main(["models"]) == 130
    assert "start again to go on" in capsys.readouterr().err


def test_table_columns_are_aligned() -> None:
    lines = table(("name", "n"), [("a", 5), ("longer", 12)]).splitlines()
    assert lines == ["name     n", "------- --", "a        5", "longer  12"]


@given(st.lists(st.tuples(st.text("ab [/]:é", max_size=300), st.integers(0)), max_size=5))
@example([("many words " * 30, 1)])
def test_a_table_in_a_pipe_is_whole(rows: list[tuple[str, int]]) -> None:
    lines = table(("name", "count"), rows).splitlines()
    read = [line.rsplit(maxsplit=1) for line in lines[2:]]
    assert [int(cells[-1]) for cells in read] == [count for _, count in rows]
    assert [" ".join(cells[:-1]).strip() for cells in read] == [name.strip() for name, _ in rows]
    assert lines[0].split() == ["name", "count"] and set(lines[1]) == {"-", " "}


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_table_on_a_terminal_is_as_wide_and_loses_nothing(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("sys.stdout", Terminal())
    cells = ["steering_vectors", "A_model_of_a_long_name", "waits for upstream", "x" * 90]
    heads = ("phase", "unit", "state", "models")
    styled = table(heads, [cells])
    lines = re.sub(r"\x1b\[[\d;]*m", "", styled).splitlines()
    assert styled != "\n".join(lines) and max(map(len, lines)) <= width
    rule = next(line for line in lines if set(line) == {"─"})
    drawn = "".join(lines).replace(rule, "")
    assert Counter(drawn.replace(" ", "")) == Counter("".join([*heads, *cells]).replace(" ", ""))


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
