"""Which values, files and code decide a result, and is a result that is not whole ever taken?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mahals.harness.workspace import code_hash as closure
from mahals.harness.workspace.code_hash import code_closure, code_digest
from mahals.harness.workspace.files import first_broken, write_atomic
from mahals.harness.workspace.fingerprint import Resolver, fingerprint, units_of
from mahals.harness.workspace.model_registry import check_models, load_registry
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import all_results, find
from mahals.harness.workspace.settings import effective, is_canonical, load_settings
from mahals.harness.workspace.telling import is_told
from mahals.phase import STUDY
from mahals.phases.registry import PHASES, load_phase
from mahals.records import InputError
from tests.support import toy_study as toy
from tests.support.places import ROOT

PACKAGE = Path(closure.__file__).parents[2]

# Settings


def test_the_workspace_is_found_from_below_and_its_absence_named(tmp_path: Path) -> None:
    toy.make(tmp_path / "project")
    below = tmp_path / "project/a/b"
    below.mkdir(parents=True)
    assert Workspace.locate(below).root == tmp_path / "project"
    with pytest.raises(InputError, match="clone of the project"):
        Workspace.locate(tmp_path)


def test_values_come_from_params_then_overlay_then_sets(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    grow = workspace.phase("grow")
    assert effective(load_settings(workspace, None, {}), grow).tasks == 4
    assert effective(load_settings(workspace, "more", {}), grow).tasks == 5
    assert effective(load_settings(workspace, None, {"overlay": "more"}), grow).tasks == 5
    settings = load_settings(workspace, "more", {"grow.tasks": 6, "seed": 7, "models": "B, A"})
    assert effective(settings, grow).tasks == 6
    assert (settings.seed, settings.models) == (7, ("B", "A"))
    assert effective(load_settings(workspace, None, {"scale": 2}, "grow"), grow).scale == 2.0


@pytest.mark.parametrize(
    ("sets", "words"),
    [
        ({"grow.taks": 1}, "did you mean 'tasks'"),
        ({"gro.tasks": 1}, "did you mean 'grow'"),
        ({"sed": 1}, "did you mean 'seed'"),
        ({"overlay": "mor"}, "did you mean 'more'"),
        ({"limit": -1}, "0 or more"),
        ({"cache_gb": -1}, "0 or more"),
        ({"models": []}, "at least one model"),
        ({"models": ["A", "A"]}, "none twice"),
        ({"weights": "mine"}, "one of organism, hub"),
        ({"study": "cor"}, "did you mean 'core'"),
        ({"seed": "x"}, "a whole number"),
    ],
)
def test_unknown_and_wrong_values_are_refused_by_name(
    sets: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        load_settings(toy.make(tmp_path), None, sets)


def test_a_value_of_a_wrong_type_or_a_missing_section_is_refused(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    wrong = load_settings(workspace, None, {"grow.tasks": "many"})
    with pytest.raises(InputError, match=r"grow\.tasks: expected a whole number"):
        effective(wrong, workspace.phase("grow"))
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump({k: v for k, v in toy.PARAMS.items() if k != "grow"})
    )
    with pytest.raises(InputError, match="add the section grow"):
        effective(load_settings(workspace, None, {}), workspace.phase("grow"))
    (tmp_path / "params.yaml").write_text("a: [1")
    with pytest.raises(InputError, match="readable YAML"):
        load_settings(workspace, None, {})


def test_canonical_means_all_values_upstream_too_are_those_of_params(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)

    def canonical(name: str, unit: str, **sets: Any) -> bool:
        settings = toy.settings_of(workspace, **sets)
        return is_canonical(workspace, settings, workspace.phase(name), unit)

    assert canonical("grow", "A") and canonical("grow", STUDY) and canonical("cross", "A")
    assert canonical("grow", "A", grow__scale=1)  # 1 and 1.0 are the same value
    assert canonical("grow", "A", upstream="require", engine="local")
    assert not canonical("grow", "A", seed=1)
    assert not canonical("grow", "A", limit=1)
    assert not canonical("grow", "A", words__count=4)
    assert canonical("words", STUDY, grow__tasks=1)
    assert canonical("grow", "A", models=["A"])  # a unit of its own
    assert canonical("words", STUDY, models=["A"])  # it reads none
    assert not canonical("grow", STUDY, models=["A"])
    assert not canonical("cross", "A", models=["A"])  # it reads all models
    assert not canonical("grow", "C", models=["A", "C"])  # params.yaml lacks C


def test_the_registry_names_the_nearest_model(tmp_path: Path) -> None:
    registry = load_registry(toy.make(tmp_path))
    assert list(registry) == ["A", "B", "C"]
    with pytest.raises(InputError, match="unknown model"):
        check_models(["D"], registry)
    entry = toy.entry("A") | {"licens": "x"}
    (tmp_path / "benchmarks/models.yaml").write_text(yaml.safe_dump({"A": entry}))
    with pytest.raises(InputError, match="did you mean 'licence'"):
        load_registry(Workspace(tmp_path))


# Code


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


# Fingerprints


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A toy workspace whose phases `words` and `grow` are finished."""
    workspace = toy.make(tmp_path_factory.mktemp("done"))
    toy.run(workspace, "grow")
    return workspace


def mark(workspace: Workspace, name: str, unit: str, **sets: Any) -> str:
    return fingerprint(workspace, toy.settings_of(workspace, **sets), name, unit)


def test_a_fingerprint_follows_values_and_not_how_they_are_run(done: Workspace) -> None:
    first = mark(done, "grow", "A")
    assert len(first) == 64 and first == mark(done, "grow", "A")
    assert first == mark(done, "grow", "A", upstream="require", models=["A"], cross__power=9)
    others = {
        mark(done, "grow", "B"),
        mark(done, "grow", "A", grow__tasks=5),
        mark(done, "grow", "A", grow__scale=1.5),
        mark(done, "grow", "A", limit=1),
        mark(done, "words", STUDY, seed=1),
        mark(done, "words", STUDY, weights="hub"),
        mark(done, "words", STUDY),
    }
    assert first not in others and len(others) == 7
    assert mark(done, "cross", "A") != mark(done, "cross", "A", models=["A"])
    assert mark(done, "words", STUDY) == mark(done, "words", STUDY, models=["C"])


def test_what_lies_upstream_must_be_there(done: Workspace) -> None:
    with pytest.raises(InputError, match=r"none for words/study; run python -m mahals run words"):
        mark(done, "grow", "A", seed=1)
    assert Resolver(done, toy.settings_of(done, seed=1)).fingerprint("grow", "A") is None


def test_a_local_file_named_by_a_value_is_part_of_it(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    values = {"texts": "own.txt", "deep": [{"path": "own.txt"}], "none": "absent.txt", "n": 1}
    from mahals.harness.workspace.fingerprint import _files_named

    (tmp_path / "own.txt").write_text("one")
    first = dict(_files_named(workspace, values))
    (tmp_path / "own.txt").write_text("other")
    second = dict(_files_named(workspace, values))
    assert set(first) == set(second) == {"own.txt"}
    assert first != second


def test_the_registry_entry_of_a_unit_counts_and_that_of_others_does_not(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    toy.run(workspace, "words")
    before = mark(workspace, "grow", "A"), mark(workspace, "grow", "B")
    models = {key: toy.entry(key) for key in "ABC"}
    models["A"]["organism"] = {"width": 16}
    models["B"]["note"] = "of no consequence"
    (tmp_path / "benchmarks/models.yaml").write_text(yaml.safe_dump(models))
    assert before[0] != mark(workspace, "grow", "A")
    assert before[1] == mark(workspace, "grow", "B")


def test_upstream_made_again_with_the_same_bytes_leaves_the_rest_alone(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    toy.run(workspace, "grow")
    settings = toy.settings_of(workspace)
    old = find(workspace, "words", STUDY, mark(workspace, "words", STUDY))
    assert old is not None
    first = mark(workspace, "grow", "A")
    # as after an edit of code that only `words` runs through: another fingerprint, the same bytes
    run = json.loads((old.folder / "run.json").read_text())
    (old.folder / "run.json").unlink()
    assert Resolver(workspace, settings).find("grow", "A") is None
    (old.folder / "run.json").write_text(json.dumps(run | {"finished": "later", "commit": "other"}))
    assert mark(workspace, "grow", "A") == first
    assert Resolver(workspace, settings).find("grow", "A") is not None


# Results


def test_results_are_typed_and_whole(done: Workspace) -> None:
    results = {(r.phase, r.unit): r for r in all_results(done)}
    assert set(results) == {("words", STUDY), ("grow", "A"), ("grow", "B"), ("grow", STUDY)}
    grow = results["grow", "A"]
    rows = grow.rows()
    assert rows[0] == type(rows[0])("A", 0, 0, rows[0].value, "A/values0")
    assert grow.summary().metrics == grow.metrics()
    assert [path.name for path in grow.figures()] == ["values.png"]
    assert grow.is_canonical and grow.broken() is None and is_told(grow)
    gathered = results["grow", STUDY]
    assert gathered.is_gather and gathered.rows() == () and gathered.broken() is None
    assert results["words", STUDY].kept().folder == done.root / "data"


@pytest.mark.parametrize(
    ("file", "body"),
    [
        ("results/grow/A/rows.jsonl", "{}\n"),
        ("results/grow/A/kept/values1/2.txt", "0.5"),
        ("results/grow/A/kept/values1/2.txt", None),
        ("results/grow/A/run.json", None),
    ],
)
def test_broken_results_are_not_found(file: str, body: str | None, tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    toy.run(workspace, "grow")
    assert find(workspace, "grow", "A", mark(workspace, "grow", "A")) is not None
    if body is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(body)
    assert find(workspace, "grow", "A", mark(workspace, "grow", "A")) is None


def test_a_kept_file_that_changed_is_refused_by_name(tmp_path: Path) -> None:
    from mahals.harness.workspace.artifacts import KeptFiles, KeptPlace

    (tmp_path / "kept").mkdir()
    write_atomic(tmp_path / "kept/v.safetensors", b"not tensors")
    import hashlib

    hashes = {"v.safetensors": hashlib.sha256(b"not tensors").hexdigest()}
    kept = KeptFiles("grow", {"A": KeptPlace(tmp_path / "kept", hashes)})
    assert kept.path("A/v.safetensors").read_bytes() == b"not tensors"
    with pytest.raises(InputError, match="expected a safetensors file"):
        kept.tensors("A/v.safetensors")
    with pytest.raises(InputError, match="unknown unit of grow"):
        kept.path("B/v.safetensors")
    with pytest.raises(InputError, match="got no file"):
        kept.path("A/w.safetensors")
    (tmp_path / "kept/v.safetensors").write_bytes(b"other bytes!")
    with pytest.raises(InputError, match="got other bytes"):
        kept.path("A/v.safetensors")


def test_a_write_is_whole_or_not_there(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a/b.json", b"1")
    assert (tmp_path / "a/b.json").read_bytes() == b"1"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.json"]
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="can be written"):
        write_atomic(tmp_path / "file/b.json", b"1")
    assert first_broken(tmp_path / "a", {"b.json": "0" * 64}) == "b.json"


def test_units_are_models_or_the_study(done: Workspace) -> None:
    settings = toy.settings_of(done)
    assert units_of(done.phase("grow"), settings) == ("A", "B")
    assert units_of(done.phase("words"), settings) == (STUDY,)
