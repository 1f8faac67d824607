"""What does a user see who gave something that cannot be used? One line, and nothing half done."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from mahals.data.texts import AXIOMS
from tests.support.light_repository import copy_tree, environment, git
from tests.support.small_study import SmallStudy
from tests.support.synthetic_results import empty_store

LONG = pytest.mark.slow  # as good, but each costs the seconds that starting the program takes
SMALL = ("--pairs_per_split", "4", "--texts_per_split", "4", "--per_cell", "2")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project where nothing ran yet."""
    root = tmp_path_factory.mktemp("plain") / "clone"
    copy_tree(root)
    git(root, "init", "--quiet")
    empty_store(root)
    return root


@pytest.fixture
def measured(study: SmallStudy, tmp_path: Path) -> Path:
    """A copy of the finished small study, with a tracking database of its own."""
    root = tmp_path / "study"
    left_out = shutil.ignore_patterns("mlruns", "mlflow.db*", ".git")
    shutil.copytree(study.root, root, ignore=left_out)
    git(root, "init", "--quiet")
    empty_store(root)
    return root


def written(root: Path) -> set[str]:
    """Every file of results, canonical or not."""
    places = [root / "results", root / ".mahals" / "runs", root / "data"]
    found = (path for place in places for path in place.rglob("*"))
    return {str(path) for path in found if path.is_file() or not any(path.iterdir())}


def statuses(root: Path) -> list[str]:
    """The status of every run in the tracking database."""
    with sqlite3.connect(root / "mlflow.db") as connection:
        return [row[0] for row in connection.execute("select status from runs")]


def refused(root: Path, *words: str) -> str:
    """The one line that a command says which leaves with 2 and without a trace."""
    before = written(root)
    done = subprocess.run(
        ["python", "-m", "mahals", *words],
        cwd=root,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 2, said
    assert "Traceback" not in said and "Error:" not in done.stdout
    lines = [line for line in done.stderr.splitlines() if line.startswith("mahals: ")]
    assert len(lines) == 1 and done.stderr.rstrip().endswith(lines[0]), said
    assert "expected " in lines[0] and ", got " in lines[0] and "; " in lines[0]
    assert written(root) == before
    assert "RUNNING" not in statuses(root)
    return lines[0]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("run", "cross_arc"), ("unknown phase", "'cross_arch'")),
        (("run", "baseline_aqi", "--models", "[Mistral_8B]"), ("Mistral_8B", "Mistral_7B")),
        (("run", "same_arch", "--lambada", "1"), ("unknown key", "'lambdas'")),
        pytest.param(
            ("run", "same_arch", "--lambdas", "much"), ("same_arch.lambdas", "a list"), marks=LONG
        ),
        pytest.param(
            ("run", "same_arch", "--operators", "[multiply]"), ("operators", "multiply"), marks=LONG
        ),
        pytest.param(("run", "same_arch", "--unit", "Qwen"), ("Qwen", "Qwen2_7B"), marks=LONG),
        pytest.param(("study", "--overlay", "tiny"), ("overlay", "smoke"), marks=LONG),
        pytest.param(
            ("run", "cross_arch", "--upstream", "require"),
            ("cross_arch", "python -m mahals run"),
            marks=LONG,
        ),
    ],
)
def test_what_is_unknown_is_named_before_anything_runs(
    plain: Path, words: tuple[str, ...], named: tuple[str, str]
) -> None:
    said = refused(plain, *words)
    assert all(name in said for name in named), said
    assert statuses(plain) == [] or set(statuses(plain)) == {"FAILED"}


def rows(count: int, labels: tuple[int, ...]) -> str:
    """Lines of a prompts file, `count` per axiom and label."""
    return "".join(
        json.dumps({"axiom": a, "safety_label": v, "input": f"how do I {i} {a} {v}"}) + "\n"
        for a in AXIOMS
        for v in labels
        for i in range(count)
    )


ODD = rows(1, (1, 0)).replace('"safety_label": 0', '"safety_label": 5', 1)


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        pytest.param("one.jsonl", rows(60, (1,)), "unsafe", marks=LONG),
        pytest.param("absent.jsonl", None, "absent.jsonl", marks=LONG),
        pytest.param("empty.jsonl", "", "empty.jsonl", marks=LONG),
        pytest.param("odd.jsonl", ODD, "5", marks=LONG),
        pytest.param("broken.jsonl", '{"axiom": ', "broken.jsonl", marks=LONG),
    ],
)
def test_a_data_file_that_cannot_be_used(
    plain: Path, name: str, text: str | None, named: str
) -> None:
    """Absent, empty, one label only, an unknown label, no JSON."""
    if text is not None:
        (plain / name).write_text(text)
    said = refused(plain, "run", "datasets", *SMALL, "--prompts", f"{{organism: {name}, hub: x}}")
    assert named in said
    assert statuses(plain) == [] or set(statuses(plain)) == {"FAILED"}


def test_a_results_folder_that_cannot_be_written(plain: Path) -> None:
    (plain / ".mahals").mkdir(exist_ok=True)
    place = plain / ".mahals" / "runs"
    shutil.rmtree(place, ignore_errors=True)
    place.write_text("a file where a folder should be")
    before = statuses(plain)
    said = refused(plain, "run", "datasets", *SMALL, "--seed", "5")
    place.unlink()
    assert place.name in said
    assert statuses(plain) == [*before, "FAILED"]


@pytest.mark.slow
def test_a_layer_that_is_not_there(measured: Path) -> None:
    words = ("run", "same_arch", "--overlay", "smoke", "--layers", "[9]", "--workers", "1")
    said = refused(measured, *words)
    assert "layers" in said and "9" in said and "-4 to 3" in said
    assert set(statuses(measured)) == {"FAILED"}


@LONG
def test_a_method_that_was_not_made_is_refused_before_any_run(measured: Path) -> None:
    before = statuses(measured)
    words = ("run", "cross_arch", "--overlay", "smoke", "--workers", "1", "--method", "guess")
    said = refused(measured, *words)
    assert "'guess'" in said and "mean_difference" in said
    assert statuses(measured) == before


def vectors(root: Path, unit: str) -> Path:
    """The results folder of a unit of steering_vectors."""
    for mark in (root / ".mahals" / "runs").glob("*/run.json"):
        facts = json.loads(mark.read_text())
        if (facts["phase"], facts["unit"]) == ("steering_vectors", unit):
            return mark.parent
    raise AssertionError(f"no vectors of {unit}")


def forget(root: Path, phase: str) -> None:
    """Removes what a phase measured."""
    for mark in list((root / ".mahals" / "runs").glob("*/run.json")):
        if json.loads(mark.read_text())["phase"] == phase:
            shutil.rmtree(mark.parent)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    body = bytearray(path.read_bytes())
    body[-5] ^= 0xFF
    path.write_bytes(bytes(body))


@LONG
@pytest.mark.parametrize("damage", [cut, flip, Path.unlink], ids=["cut", "flipped", "gone"])
def test_a_damaged_vector_file_is_never_read(
    measured: Path, damage: Callable[[Path], None]
) -> None:
    forget(measured, "cross_arch")
    damage(vectors(measured, "Mistral_7B") / "kept" / "mean_difference.safetensors")
    words = ("run", "cross_arch", "--overlay", "smoke", "--upstream", "require")
    said = refused(measured, *words)
    assert "steering_vectors Mistral_7B" in said and "got none" in said


@pytest.mark.slow
def test_a_vector_of_another_architecture(measured: Path) -> None:
    """Its file is whole and its hash is right; it belongs to a wider model."""
    forget(measured, "cross_arch")
    mine, theirs = (vectors(measured, unit) for unit in ("Llama3_8B", "Mistral_7B"))
    name = "mean_difference.safetensors"
    shutil.copy(theirs / "kept" / name, mine / "kept" / name)
    facts = json.loads((mine / "run.json").read_text())
    facts["kept"][name] = sha256((mine / "kept" / name).read_bytes()).hexdigest()
    (mine / "run.json").write_text(json.dumps(facts))
    words = ("run", "cross_arch", "--overlay", "smoke", "--workers", "1", "--unit", "Llama3_8B")
    said = refused(measured, *words)
    assert "128" in said and "96" in said
    assert set(statuses(measured)) == {"FAILED"}
