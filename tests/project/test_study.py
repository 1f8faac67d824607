"""Does the whole study run, say what it found, stay as it is, and come out the same again?"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from safetensors import safe_open
from safetensors.torch import load_file

import mahals
from mahals.data.texts import AXIOMS
from mahals.harness.leaderboard.collect import collect
from mahals.harness.leaderboard.ranking import boards
from mahals.harness.manifests.dvc_stages import BOARD
from mahals.harness.workspace.model_registry import load_registry
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results, all_results
from mahals.harness.workspace.telling import is_told
from mahals.models.checkpoints.checkpoint import load_checkpoint
from mahals.phases.registry import STUDIES
from mahals.records import InputError
from mahals.schema import COLUMNS
from tests.support.light_repository import MODELS, copy_tree, environment, git, run
from tests.support.small_study import STUDY, SmallStudy, run_study
from tests.support.synthetic_results import empty_store

UNITS = {
    (phase, unit)
    for phase in STUDIES["core"]
    for unit in (("study",) if phase == "datasets" else (*MODELS, "study"))
}
METHODS = ("mean_difference", "svd_k", "contrast", "pca", "probe")


@pytest.fixture(scope="module")
def client(study: SmallStudy) -> MlflowClient:
    uri = f"sqlite:///{study.root / 'mlflow.db'}"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def runs(client: MlflowClient, name: str) -> list[Any]:
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None, name
    return list(client.search_runs([experiment.experiment_id], max_results=1000))


# ---- what it leaves behind


def test_every_phase_has_whole_results_for_every_unit(study: SmallStudy) -> None:
    assert set(study.results) == UNITS
    for (phase, unit), results in study.results.items():
        assert results.broken() is None and is_told(results), (phase, unit)
        assert results.metrics() and results.figures()
        assert results.is_gather == (unit == "study" and phase != "datasets")
        assert bool(results.rows()) != results.is_gather
        assert results.metrics() == dict(results.summary().metrics)


def test_run_json_says_how_each_was_made(study: SmallStudy) -> None:
    head = git(study.root, "rev-parse", "HEAD").strip()
    for results in study.results.values():
        facts = results.run()
        assert facts["commit"] == head and facts["dirty"] is False
        assert set(facts["versions"]) >= {"torch", "transformers"}
        assert facts["versions"]["torch"] == torch.__version__
        assert (facts["machine"]["device"], facts["machine"]["threads"]) == ("cpu", 1)
        assert (facts["weights"], facts["seed"]) == ("organism", 0)
        assert facts["seconds"]["total"] == pytest.approx(sum(facts["seconds"]["tasks"]), abs=0.1)
        for name, mark in facts["kept"].items():
            body = (results.kept().folder / name).read_bytes()
            assert hashlib.sha256(body).hexdigest() == mark


def test_an_overlay_leaves_the_canonical_results_of_what_it_changes_alone(
    study: SmallStudy,
) -> None:
    """Training is the same under the overlay; all that is measured after it is not."""
    canonical = {key for key, results in study.results.items() if results.is_canonical}
    assert canonical == {("organisms", model) for model in MODELS}


def test_the_clone_stays_as_it_was_but_for_results(study: SmallStudy) -> None:
    changed = git(study.root, "status", "--porcelain").splitlines()
    places = {line[3:].split("/")[0] for line in changed}
    assert places <= {"results", "dvc.lock"}, "an overlay's numbers are on no page of the project"
    assert not [line for line in changed if line.startswith((" M", " D"))]
    assert not list((study.root / ".mahals" / "journal").glob("*/rows.jsonl"))


def test_states_and_arms_lie_in_the_cache_under_their_fingerprints(study: SmallStudy) -> None:
    place = Workspace(study.root).cache / "states"
    files, arms = sorted(place.glob("*.safetensors")), sorted(place.glob("*.json"))
    vectors = sorted(place.glob("*.vectors"))
    assert {*files, *arms, *vectors} == set(place.iterdir()) and len(arms) > 10 and vectors
    for arm in arms:
        assert arm.name == f"{json.loads(arm.read_bytes())['fingerprint']}.json"
    for file in files:
        with safe_open(file, framework="pt") as opened:
            assert file.name == f"{opened.metadata()['fingerprint']}.safetensors"
    shapes = {tuple(load_file(file)["states"].shape) for file in files}
    entries = load_registry(Workspace(study.root)).values()
    widths = {entry.organism["width"] for entry in entries if entry.organism is not None}
    assert len(files) > 10 and {width for _, _, width in shapes} <= widths


# ---- what it says


def test_the_leaderboard_is_printed_with_an_honest_first_line(study: SmallStudy) -> None:
    """Whether anything beats chance is said first; what is ranked is what the entries say."""
    (board,) = boards(collect(tuple(study.results.values())).entries)
    ranked = [line for line in board.lines if line.rank is not None]
    text = study.output[study.output.index("\nMeasured ") :]
    assert len(text.strip().splitlines()) <= 40
    nothing = "No configuration refuses beyond"
    assert (nothing in text) == (not ranked)
    first = next(x for x in text.splitlines() if nothing in x or " refuse beyond" in x)
    assert text.index(first) < text.index(" steered lines")
    for line in ranked:
        metrics = line.entry.metrics
        assert metrics["gap_over_random_low"] > 0 and line.q is not None and line.q < 0.05
        assert not line.entry.over_ceiling and not line.entry.geometry_only
    assert "mlflow ui --backend-store-uri sqlite:///" in text and "viewStateShareKey=" in text


def test_every_phase_says_all_in_its_report_and_where_that_is(study: SmallStudy) -> None:
    for phase in STUDIES["core"]:
        results = study.results[phase, "study"]
        report = results.folder / "report.md"
        said = report.read_text().replace("\\<", "<")
        assert all(line in said for line in results.summary().lines), phase
        assert results.workspace.relative(report) in study.output


# ---- what it found, where that was planted


def test_preference_training_taught_to_refuse_unsafe_prompts_and_the_sham_did_not(
    study: SmallStudy,
) -> None:
    for model in MODELS:
        found = {r.checkpoint: r for r in study.results["organisms", model].rows()}
        assert found["dpo"].refusal_unsafe > 0.8 and found["dpo"].refusal_safe < 0.2
        for other in ("base", "sft", "sham"):
            gap = found[other].refusal_unsafe - found[other].refusal_safe
            assert abs(gap) < 0.2, (model, other)
        assert found["base"].xor_accuracy > 0.9


def test_the_organisms_are_models_of_the_registrys_shapes(study: SmallStudy) -> None:
    registry = load_registry(Workspace(study.root))
    for model in MODELS:
        place = study.results["organisms", model].kept().folder / "dpo"
        one = load_checkpoint(place, revision=None, key=model, role="dpo", weights="organism")
        shape = registry[model].organism
        assert (one.layers, one.width) == (shape["layers"], shape["width"])
        assert type(one.model).__name__.startswith(registry[model].family)


def test_lambda_zero_is_the_unsteered_model_in_every_sweep(study: SmallStudy) -> None:
    for model in MODELS:
        rows = study.results["same_arch", model].rows()
        base = next(r for r in rows if r.arm == "unsteered")
        zero = [r for r in rows if r.dose_kind == "lambda" and r.dose == 0]
        assert zero and all((r.aqi, r.kl) == (base.aqi, 0.0) for r in zero)
        assert {r.operator for r in zero} == {r.operator for r in rows if r.operator} != set()


def test_two_phases_that_measure_one_arm_agree(study: SmallStudy) -> None:
    """The own vector at the headline dose is in same_arch and is cross_arch's native arm.

    Here one of them may have found it measured; that without the cache the bytes are the same is
    another test's.
    """
    for model in MODELS:
        same, cross = (study.results[p, model].rows() for p in ("same_arch", "cross_arch"))
        wanted = ("steered", "random", "unsteered")
        for arm in wanted:
            one, two = (
                [
                    (r.draw, r.aqi, r.refusal_unsafe, r.strength)
                    for r in rows
                    if r.arm == arm
                    and r.source in (None, model)
                    and r.operator in (None, "add")
                    and r.dose_kind in (None, "kl")
                ]
                for rows in (same, cross)
            )
            assert one == two, (model, arm)


def test_vectors_reach_the_entries_and_levels_the_summary(study: SmallStudy) -> None:
    for model in MODELS:
        rows = study.results["baseline_aqi", model].rows()
        readouts = {r.readout for r in rows}
        assert readouts == {"aligned", "base", "sham", "random", "embeddings", "tfidf"}
        head = [r for r in rows if r.readout == "aligned" and r.last and r.axiom in AXIOMS]
        assert len({(r.pool, r.space) for r in head}) == 4
    assert set(study.results["steering_vectors", "study"].metrics()) >= {
        f"{m}/potential" for m in MODELS
    }


# ---- MLflow


def test_every_unit_has_one_finished_run(study: SmallStudy, client: MlflowClient) -> None:
    for phase in STUDIES["core"]:
        found = runs(client, phase)
        assert {r.info.status for r in found} == {"FINISHED"}
        marks = {r.data.tags["unit"]: r.data.tags["mahals.fingerprint"] for r in found}
        ours = {unit: r.fingerprint for (p, unit), r in study.results.items() if p == phase}
        assert marks == ours and len(found) == len(marks)
        for one in found:
            metrics = study.results[phase, one.data.tags["unit"]].metrics()
            assert metrics.items() <= one.data.metrics.items()


def test_every_leaderboard_run_has_columns_or_reasons(
    study: SmallStudy, client: MlflowClient
) -> None:
    found = runs(client, "leaderboard")
    assert len(found) > 20 and {r.info.status for r in found} == {"FINISHED"}
    for one in found:
        absent = {name for name in COLUMNS if f"reason.{name}" in one.data.tags}
        present = set(one.data.metrics) & set(COLUMNS)
        assert present | absent == set(COLUMNS) and not present & absent
        assert set(one.data.metrics) <= {*COLUMNS, "q", "rank", "position"}
    keys = [one.data.tags["mahals.configuration"] for one in found]
    assert len(set(keys)) == len(keys)


def test_every_vector_is_registered_and_each_target_has_one_champion(
    study: SmallStudy, client: MlflowClient
) -> None:
    models = {m.name: m for m in client.search_registered_models(max_results=100)}
    assert set(models) == {f"{model}.{method}" for model in MODELS for method in METHODS}
    for model in MODELS:
        cards = study.results["steering_vectors", model].summary().vectors
        best = max(card.selection_score for card in cards)
        highest = {card.name for card in cards if card.selection_score == best}
        (crowned,) = [n for n in models if n.startswith(f"{model}.") and models[n].aliases]
        assert crowned in highest and list(models[crowned].aliases) == ["champion"]


def test_a_registered_vector_loads_and_fits_its_own_model_alone(study: SmallStudy) -> None:
    loaded = {
        model: load_checkpoint(
            study.results["organisms", model].kept().folder / "sft",
            revision=None,
            key=model,
            role="base",
            weights="organism",
        )
        for model in MODELS
    }
    mine, other = MODELS
    place = f"models:/{mine}.mean_difference/1"
    vector = mahals.load_vector(place, loaded[mine], root=study.root)
    rows = [
        r for r in study.results["steering_vectors", mine].rows() if r.method == "mean_difference"
    ]
    norms = [r.norm for r in rows]
    assert vector.values.norm(dim=1).tolist() == pytest.approx(norms, rel=1e-5)
    with pytest.raises(InputError, match="layers of width"):
        mahals.load_vector(place, loaded[other], root=study.root)


# ---- again


@pytest.mark.slow
def test_a_second_study_measures_nothing(study: SmallStudy, tmp_path: Path) -> None:
    root = copy_of(study, tmp_path)
    before = {k: (r.folder / "run.json").read_bytes() for k, r in study.results.items()}
    done = run(root, *STUDY)
    listed = [line for line in done.stderr.splitlines() if ": complete, " in line]
    assert len(listed) == len(UNITS) and " tasks, " not in done.stderr
    again = {(r.phase, r.unit): r for r in all_results(Workspace(root))}
    assert {k: (r.folder / "run.json").read_bytes() for k, r in again.items()} == before


def copy_of(study: SmallStudy, place: Path) -> Path:
    """A copy of the finished study, tracking database and all."""
    root = place / "study"
    shutil.copytree(study.root, root)
    return root


def facts(found: Mapping[tuple[str, str], Results]) -> dict[tuple[str, str], dict[str, bytes]]:
    """The bytes of rows.jsonl and metrics.json of every unit."""
    return {
        key: {
            name: (results.folder / name).read_bytes()
            for name in ("rows.jsonl", "metrics.json")
            if (results.folder / name).is_file()
        }
        for key, results in found.items()
    }


@pytest.mark.slow
def test_two_fresh_studies_give_the_same_bytes(study: SmallStudy, tmp_path: Path) -> None:
    """The other is the one in the folder MAHALS_OTHER_STUDY, or is made now."""
    given = os.environ.get("MAHALS_OTHER_STUDY")
    root = Path(given) if given else run_study(tmp_path / "again").root
    assert not root.samefile(study.root)
    others = {results.fingerprint: results for results in all_results(Workspace(root))}
    again = {key: others[results.fingerprint] for key, results in study.results.items()}
    assert facts(again) == facts(study.results)


@pytest.mark.slow
def test_publishing_an_overlays_study_does_not_empty_the_projects_board(
    study: SmallStudy, tmp_path: Path
) -> None:
    """Its organisms are those of params.yaml, its leaderboard lines are not."""
    root = copy_of(study, tmp_path)
    (root / BOARD).write_text("the lines of params.yaml")
    said = run(root, "python", "-m", "mahals", "publish").stdout
    assert (root / BOARD).read_text() == "the lines of params.yaml" and BOARD not in said


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["baseline_aqi", "cross_arch"])
def test_the_cache_changes_no_byte_of_a_phase(
    phase: str, study: SmallStudy, tmp_path: Path
) -> None:
    """States that were read and arms that were measured, by this phase or by another."""
    root = copy_of(study, tmp_path)
    place = Workspace(root).cache / "states"
    known = {path: path.stat() for path in place.iterdir()}
    mine = {key: r for key, r in study.results.items() if key[0] == phase}
    for gigabytes in ("0", "4"):
        for results in all_results(Workspace(root)):
            if results.phase == phase:
                shutil.rmtree(results.folder)
        words = ("--overlay", "smoke", "--cache_gb", gigabytes)
        run(root, "python", "-m", "mahals", "run", phase, *words)
        found = {(r.phase, r.unit): r for r in all_results(Workspace(root))}
        assert facts({key: found[key] for key in mine}) == facts(mine)
        now = {path: path.stat() for path in place.iterdir()}
        assert set(now) == set(known)
        assert all(now[path].st_ino == known[path].st_ino for path in known), "read anew"
        asked = [path for path in known if now[path].st_mtime_ns > known[path].st_mtime_ns]
        assert bool(asked) == (gigabytes == "4")


def _works(journals: Path, begun: float) -> bool:
    """Whether a journal was taken since; one that was given back meanwhile counts for nothing."""
    for lock in journals.glob("*.lock"):
        with suppress(FileNotFoundError):
            if lock.stat().st_mtime > begun:
                return True
    return False


def killed(root: Path, words: list[str], seconds: float) -> bool:
    """Starts a command in a session of its own; kills all of it `seconds` after work has begun."""
    begun, journals = time.time(), root / ".mahals" / "journal"
    child = subprocess.Popen(
        words,
        cwd=root,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while child.poll() is None and not _works(journals, begun):
        time.sleep(0.05)
    try:
        child.wait(seconds)
        return False
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return True


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["same_arch", "organisms"])
def test_killed_at_any_moment_it_ends_with_the_same_bytes(
    study: SmallStudy, tmp_path: Path, phase: str
) -> None:
    root = tmp_path / "study"
    if phase == "same_arch":
        root = copy_of(study, tmp_path)
        for results in all_results(Workspace(root)):
            if results.phase in ("same_arch", "cross_arch"):
                shutil.rmtree(results.folder)
    else:
        copy_tree(root)
        git(root, "init", "--quiet")
        empty_store(root)
    words = ["python", "-m", "mahals", "run", phase, "--overlay", "smoke"]
    if phase == "organisms":  # one of them is long enough
        words += ["--unit", MODELS[0]]
    units = (MODELS[0],) if phase == "organisms" else (*MODELS, "study")
    seconds = [study.results[phase, unit].run()["seconds"]["total"] for unit in units]
    whole = max(seconds)
    moments = random.Random(phase)
    kills = [killed(root, words, moments.uniform(0, 0.3) * whole) for _ in range(3)]
    assert kills[0], "it ended before it was killed"
    time.sleep(1)
    run(root, *words)
    ended = {(r.phase, r.unit): r for r in all_results(Workspace(root)) if r.phase == phase}
    mine = {key: r for key, r in study.results.items() if key[0] == phase and key[1] in units}
    assert facts(ended) == facts(mine)
    for key, results in ended.items():
        assert results.content == mine[key].content, key
    assert not list((root / ".mahals" / "journal").glob("*/rows.jsonl"))
