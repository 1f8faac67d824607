"""Does the project work from outside: by `mlflow run`, `dvc`, a fresh clone; is it built so?"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.light_repository import BIN, MODELS, copy_tree, environment, git, make, run


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("light") / "repository")


@pytest.fixture(scope="module")
def studied(light: Path) -> Path:
    """The light repository after `mlflow run .`, committed."""
    if importlib.metadata.entry_points(group="mlflow.run_context_provider", name="mahals") == ():
        pytest.fail("the plugin is not installed: pip install -e .")
    done = run(light, str(BIN / "mlflow"), "run", ".")
    (light / ".said").write_text(done.stdout + done.stderr)
    git(light, "add", "--all")
    git(light, "commit", "--quiet", "--message=studied")
    return light


def dvc(folder: Path, *words: str) -> str:
    return run(folder, "python", "-m", "dvc", *words).stdout


def state(folder: Path) -> dict[str, bytes]:
    """Every file of results, data and what the study writes into git."""
    places = ("results", "data", "benchmarks", "params.yaml", "dvc.lock")
    files = [p for place in places for p in (folder / place, *(folder / place).rglob("*"))]
    return {str(p.relative_to(folder)): p.read_bytes() for p in files if p.is_file()}


@pytest.mark.slow
def test_plain_mlflow_run_prints_the_leaderboard_and_the_way_to_it(studied: Path) -> None:
    said = (studied / ".said").read_text()
    assert said.count("no conda found, running in this environment") == 1
    for model in MODELS:
        assert re.search(rf"^\s*\d\s+{model} ", said, re.MULTILINE), "a ranked line"
    for report in re.findall(r"^  (results/\S+/report\.md) ", said, re.MULTILINE):
        assert list((studied / report).with_name("figures").glob("*.png")), report
    assert said.count("/report.md ") == 6 and "beside each, figures/" in said
    assert re.search(r"^  mlflow ui --backend-store-uri sqlite:", said, re.MULTILINE)
    assert re.search(
        r"^  http://127.0.0.1:5000/#/experiments/\d+/runs\?viewStateShareKey=", said, re.M
    )
    assert (studied / "benchmarks/LEADERBOARD.md").is_file()


@pytest.mark.slow
def test_after_the_study_dvc_runs_nothing(studied: Path) -> None:
    before = state(studied)
    assert dvc(studied, "status") == "Data and pipelines are up to date.\n"
    assert "Running stage" not in dvc(studied, "repro")
    assert state(studied) == before


@pytest.mark.slow
def test_the_exact_line_of_the_readme(studied: Path) -> None:
    """`mlflow run . -e cross_arch -P source=Mistral_7B` without conda, and DVC's results stay."""
    before = state(studied)
    words = ("mlflow", "run", ".", "-e", "cross_arch", "-P", "source=Mistral_7B")
    done = run(studied, str(BIN / words[0]), *words[1:])
    assert "python -m mahals run cross_arch --source Mistral_7B" in done.stderr
    assert state(studied) == before
    assert "up to date" in dvc(studied, "status")
    with sqlite3.connect(studied / "mlflow.db") as database:
        query = "select value from params where key = 'source'"
        assert ("Mistral_7B",) in database.execute(query).fetchall()
        runs = "select count(*) from runs where status != 'FINISHED'"
        assert database.execute(runs).fetchone() == (0,)


@pytest.mark.slow
def test_mlflow_run_finds_python_when_nothing_is_on_the_path(studied: Path) -> None:
    env = environment(PATH="/usr/bin:/bin")
    done = run(studied, str(BIN / "mlflow"), "run", ".", "-e", "datasets", env=env)
    assert "datasets: complete" in done.stderr


@pytest.mark.slow
def test_wrong_values_fail_the_run_of_mlflow(studied: Path) -> None:
    words = ("run", ".", "-e", "same_arch", "-P", "lambda=3")
    done = run(studied, str(BIN / "mlflow"), *words, code=1)
    assert "did you mean 'lambdas'" in done.stderr
    assert "Traceback" not in done.stderr
    with sqlite3.connect(studied / "mlflow.db") as database:
        last = "select status from runs order by start_time desc limit 1"
        assert database.execute(last).fetchone() == ("FAILED",)


@pytest.mark.slow
def test_required_upstream_names_the_command(studied: Path) -> None:
    words = ("run", "same_arch", "--seed", "7", "--upstream", "require")
    done = run(studied, "python", "-m", "mahals", *words, code=2)
    assert "python -m mahals run" in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("mahals: ")


@pytest.mark.slow
def test_an_experiment_leaves_the_workspace_alone(studied: Path) -> None:
    before, status = state(studied), git(studied, "status", "--porcelain")
    said = dvc(studied, "exp", "run", "--temp", "-S", "same_arch.lambdas=[0,0.5,2]")
    ran = set(re.findall(r"Running stage '(\S+)'", said))
    assert ran == {"same_arch", "same_arch_gather", "publish"}
    assert state(studied) == before
    assert git(studied, "status", "--porcelain") == status


@pytest.mark.slow
def test_each_module_makes_the_stages_that_run_it_stale(
    studied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every module is edited once; DVC then finds changed what names it, in every stage.

    Of every twentieth, and of each phase, it is asked for all that is stale: no other stage is. A
    gather is not among them: it hangs on the runs of its units, which are.
    """
    from dvc.repo import Repo

    monkeypatch.chdir(studied)
    listed = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
    modules = sorted(Path("mahals").rglob("*.py"))
    assert len(modules) > 100
    whole = {*modules[::20], *Path("mahals/phases").glob("*.py")}
    with Repo(".") as repo:
        stages = {stage.name: stage for stage in repo.index.stages}
        assert set(stages) == set(listed)
        for path in modules:
            places = {path.as_posix(), *(parent.as_posix() for parent in path.parents)}
            naming = {n: places & set(what["deps"]) for n, what in listed.items()}
            text = path.read_text()
            path.write_text(text + "\n# edited\n")
            try:
                changed = {n: _changed(stages[n], named) for n, named in naming.items()}
                stale = set(repo.status()) if path in whole else None
            finally:
                path.write_text(text)
            assert changed == naming, path
            assert stale in (None, {n for n, named in naming.items() if named}), path


def _changed(stage: Any, named: set[str]) -> set[str]:
    """Those of the named dependencies whose files, DVC says, are no more what they were."""
    return {dep.def_path for dep in stage.deps if dep.def_path in named and dep.status()}


@pytest.mark.slow
def test_one_value_makes_its_phase_and_what_follows_stale(studied: Path) -> None:
    text = (studied / "params.yaml").read_text()
    params = yaml.safe_load(text)
    params["same_arch"]["lambdas"] = [0, 3]
    (studied / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    try:
        said = json.loads(dvc(studied, "status", "--json"))
    finally:
        (studied / "params.yaml").write_text(text)
    assert set(said) == {"same_arch"}, "the gather follows the runs of its units"


@pytest.mark.slow
def test_a_fresh_clone_shows_the_leaderboard_without_computing(
    studied: Path, tmp_path: Path
) -> None:
    remote, clone = tmp_path / "remote", tmp_path / "clone"
    dvc(studied, "remote", "add", "--local", "--force", "--default", "store", str(remote))
    dvc(studied, "push", "--quiet")
    git(tmp_path, "clone", "--quiet", str(studied), str(clone))
    dvc(clone, "remote", "add", "--local", "--default", "store", str(remote))
    dvc(clone, "pull", "--quiet")
    said = run(clone, "python", "-m", "mahals", "publish")
    assert "leaderboard lines" in said.stdout
    board = run(clone, "python", "-m", "mahals", "leaderboard").stdout
    assert all(re.search(rf"^\s*\d\s+{model} ", board, re.MULTILINE) for model in MODELS)
    assert not list((clone / ".mahals").glob("journal/*")), "nothing was computed"
    results = {k: v for k, v in state(studied).items() if k.startswith(("results/", "data/"))}
    assert {k: state(clone).get(k) for k in results} == results
    assert "Running stage" not in dvc(clone, "repro")


@pytest.mark.slow
def test_a_fresh_repro_gives_the_bytes_of_the_study(studied: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(studied), str(clone))
    for path in (clone / "dvc.lock", clone / "results"):
        run(clone, "rm", "-rf", str(path))
    said = dvc(clone, "repro")
    assert said.count("Running stage") == len(
        re.findall(r"^  \S+:$", (clone / "dvc.lock").read_text(), re.M)
    )
    for name in ("rows.jsonl", "metrics.json"):
        for path in sorted((studied / "results").glob(f"*/*/{name}")):
            made = clone / path.relative_to(studied)
            assert made.read_bytes() == path.read_bytes(), made
    assert "Running stage" not in dvc(clone, "repro")


@pytest.mark.slow
def test_dvc_repro_killed_between_units_measures_none_of_them_again(tmp_path: Path) -> None:
    """DVC knows nothing of a stage that did not end; what it had finished is not deleted."""
    place, log = make(tmp_path / "repository"), tmp_path / "log"
    words, env = ("dvc", "repro", "organisms"), environment(LIGHT_LOG=str(log))
    run(place, "dvc", "repro", "datasets")
    held = {**env, "LIGHT_HELD": f"{MODELS[1]} 2"}
    child = subprocess.Popen(words, cwd=place, env=held, start_new_session=True)
    while not list(place.glob("results/organisms/*/run.json")):
        assert child.poll() is None, "it ended before it was killed"
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    begun = log.read_text().splitlines()
    finished = {path.parent.name for path in place.glob("results/organisms/*/run.json")}
    assert finished == {MODELS[0]}, "the other model's last task was held"
    run(place, *words, env=env)
    again = log.read_text().splitlines()[len(begun) :]
    assert not [line for line in again if line.split()[1] in finished]
    assert len(begun) + len(again) <= 3 * len(MODELS) + 3  # those in flight, and one journaled
    assert "up to date" in run(place, *words).stdout
    told = ("dvc", "repro", "organisms_gather")
    run(place, *told, env=env)
    for name in ("metrics.json", "summary.json", "rows.jsonl"):
        file = place / "results/organisms" / MODELS[0] / name
        measured = file.read_bytes()
        file.write_text("{}")
        run(place, *told, env=env)
        assert file.read_bytes() == measured, f"{name} was taken as it lay there"
    killed, whole = place / "results/organisms", tmp_path / "whole"
    run(make(whole), *words)
    for model in MODELS:
        for name in ("rows.jsonl", "metrics.json"):
            got = (killed / model / name).read_bytes()
            assert got == (whole / "results/organisms" / model / name).read_bytes()


@pytest.mark.slow
def test_dvc_repro_measures_the_stale_units_of_a_phase_alone(tmp_path: Path) -> None:
    """The stage is the phase; what is measured of it are the units whose own inputs changed."""
    place, log = make(tmp_path / "repository"), tmp_path / "log"
    words, env = ("dvc", "repro", "baseline_aqi"), environment(LIGHT_LOG=str(log))
    run(place, *words, env=env)
    measured = {tuple(line.split()[:2]) for line in log.read_text().splitlines()}
    assert measured == {(name, m) for name in ("organisms", "baseline_aqi") for m in MODELS}
    log.unlink()
    registry = place / "benchmarks" / "models.yaml"
    entries = yaml.safe_load(registry.read_text())
    entries[MODELS[0]]["organism"]["ff"] += 32
    registry.write_text(yaml.safe_dump(entries, sort_keys=False))
    said = run(place, *words, env=env).stdout
    assert "Running stage 'organisms'" in said and "Running stage 'datasets'" not in said
    again = [line.split()[:2] for line in log.read_text().splitlines()]
    assert ["organisms", MODELS[0]] in again and ["baseline_aqi", MODELS[0]] in again
    assert {unit for _, unit in again} == {MODELS[0]}, "another model's unit was measured again"


@pytest.mark.slow
def test_an_environment_of_another_manager_wins(studied: Path) -> None:
    """`--env-manager conda` without conda fails as MLflow says; the plugin does not step in."""
    words = ("run", ".", "-e", "datasets", "--env-manager", "conda")
    done = run(studied, str(BIN / "mlflow"), *words, code=1)
    assert "Could not find Conda executable" in done.stderr
    assert "running in this environment" not in done.stderr


@pytest.mark.slow
def test_the_package_as_built_holds_the_package_alone(tmp_path: Path) -> None:
    copy_tree(tmp_path / "source")
    run(tmp_path, "uv", "build", "--wheel", "--quiet", "--out-dir", "built", "source")
    (wheel,) = (tmp_path / "built").glob("*.whl")
    names = run(tmp_path, "python", "-m", "zipfile", "--list", str(wheel)).stdout
    tops = {line.split("/")[0] for line in names.splitlines()[1:]}
    assert {top for top in tops if not top.endswith("dist-info")} == {"mahals"}
    assert "mahals/py.typed" in names
