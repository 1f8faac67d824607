"""Refused settings: is what cannot be used refused by its key, before any work?"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mahals.cli import main
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import effective, load_settings
from mahals.phases.registry import PHASES, load_phase
from mahals.records import InputError
from tests.support.places import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Workspace:
    """The project's own params.yaml, overlays and registry, to be changed."""
    shutil.copy2(ROOT / "params.yaml", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    for file in (ROOT / "benchmarks").glob("*.yaml"):
        shutil.copy2(file, tmp_path / "benchmarks")
    return Workspace(tmp_path)


def add(file: Path, text: str) -> None:
    file.write_text(file.read_text() + text)


def test_a_top_level_key_that_nothing_reads_is_refused(project: Workspace) -> None:
    load_settings(project, None, {})
    add(project.params_file, "\nsame_arc: {lambdas: [0]}\n")
    with pytest.raises(
        InputError, match=r"did you mean 'same_arch'\? unknown .*key in params\.yaml"
    ):
        load_settings(project, None, {})


def test_a_top_level_key_of_an_overlay_that_nothing_reads_is_refused(project: Workspace) -> None:
    load_settings(project, "smoke", {})
    add(project.root / "benchmarks/smoke.yaml", "\nsiut: {pool: last}\n")
    with pytest.raises(
        InputError, match=r"did you mean 'suite'\? unknown .*key in benchmarks/smoke\.yaml"
    ):
        load_settings(project, "smoke", {})


STEERING = ("layer_sweep", "same_arch", "cross_arch", "recovery", "collaboration", "equilibrium")
METHODS = "one of contrast, mean_difference, pca, probe, svd_k"


def said(phase: str, sets: dict[str, Any]) -> str:
    """The words in which `mahals run <phase>` refuses these values."""
    with pytest.raises(InputError) as error:
        effective(load_settings(Workspace(ROOT), None, sets, phase), load_phase(phase))
    return str(error.value)


@pytest.mark.parametrize("overlay", ["none", "smoke", "sanity", "full", "large"])
def test_what_the_project_itself_sets_is_taken(overlay: str) -> None:
    settings = load_settings(Workspace(ROOT), overlay, {})
    for phase in PHASES:
        effective(settings, load_phase(phase))


@pytest.mark.parametrize("phase", STEERING)
def test_a_method_without_vectors_is_refused(phase: str) -> None:
    assert f"unknown {phase}.method: expected {METHODS}" in said(phase, {"method": "men_diff"})
    fewer = said(phase, {"method": "pca", "steering_vectors.methods": ["contrast"]})
    assert "expected one of contrast, got 'pca'" in fewer
    assert fewer.endswith("or add it to steering_vectors.methods")


@pytest.mark.parametrize(
    ("phase", "key", "words"),
    [
        ("cross_arch", "source", ("all",)),
        ("recovery", "crossing.source", ("best", "none")),
        ("equilibrium", "crossing.source", ("best", "none")),
    ],
)
def test_a_source_that_is_no_model_of_the_study_is_refused(
    phase: str, key: str, words: tuple[str, ...]
) -> None:
    for source in (*words, "Qwen2_7B"):
        effective(
            load_settings(Workspace(ROOT), None, {f"{phase}.{key}": source}), load_phase(phase)
        )
    wrong = said(phase, {f"{phase}.{key}": "Qwen2_7b"})
    assert f"unknown {phase}.{key}" in wrong and "did you mean 'Qwen2_7B'" in wrong
    two = {f"{phase}.{key}": "Qwen2_7B", "models": ["Llama3_8B", "Mistral_7B"]}
    known = ", ".join(sorted(["Llama3_8B", "Mistral_7B", *words]))
    assert f"one of {known}, got 'Qwen2_7B'" in said(phase, two)


@pytest.mark.parametrize(
    ("phase", "key", "value", "words"),
    [
        ("same_arch", "lambdas", [], "same_arch.lambdas: expected 1 or more in a list, got []"),
        ("same_arch", "operators", [], "same_arch.operators: expected 1 or more in a list"),
        ("same_arch", "propensity_draws", -1, "same_arch.propensity_draws: expected 0 or more"),
        ("same_arch", "nulls", 1, "suite.nulls: expected 2 or more, got 1"),
        ("cross_arch", "suite.nulls", 0, "suite.nulls: expected 2 or more"),
        ("same_arch", "suite.doses", [], "suite.doses: expected 1 or more in a list, got []"),
        ("cross_arch", "draws", -1, "cross_arch.draws: expected 0 or more"),
        ("recovery", "recovery.tuning.rows", 0, "recovery.tuning.rows: expected 1 or more"),
        (
            "baseline_aqi",
            "baseline_aqi.pools.hub",
            [],
            "baseline_aqi.pools.hub: expected 1 or more in a list",
        ),
        ("baseline_aqi", "permutations", -1, "baseline_aqi.permutations: expected 1 or more"),
        ("steering_vectors", "shuffles", -1, "steering_vectors.shuffles: expected 0 or more"),
        ("steering_vectors", "selection_draws", 1, "selection_draws: expected 2 or more"),
        ("em_finetune", "per_group", 0, "em_finetune.per_group: expected 1 or more"),
        ("em_detection", "random_directions", 1, "em_detection.random_directions: expected 2"),
        ("em_detection", "positions", [], "em_detection.positions: expected 1 or more in a list"),
        ("em_detection", "shuffles", 1, "em_detection.shuffles: expected 2 or more"),
        ("em_ablation", "nulls", 1, "em_ablation.nulls: expected 2 or more"),
        ("collaboration", "window", 0, "collaboration.window: expected 1 or more"),
        ("equilibrium", "rounds", -1, "equilibrium.rounds: expected 0 or more"),
        ("datasets", "per_cell", 0, "datasets.per_cell: expected 1 or more, got 0"),
    ],
)
def test_too_few_are_refused_by_the_key(phase: str, key: str, value: Any, words: str) -> None:
    assert words in said(phase, {key: value})


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        (("run", "same_arch", "--lambdas", "[]"), "same_arch.lambdas"),
        (("run", "same_arch", "--nulls", "1"), "suite.nulls"),
        (("run", "same_arch", "--method", "mean_diff"), "same_arch.method"),
        (("run", "cross_arch", "--source", "Zephyr"), "cross_arch.source"),
        (("run", "recovery", "--recovery.crossing.source", "worst"), "recovery.crossing.source"),
        (("study", "--set", "same_arch.method=svd"), "same_arch.method"),
    ],
)
@pytest.mark.parametrize("dry", [("--dry-run",), ()])
def test_the_command_line_refuses_before_any_work(
    typed: tuple[str, ...],
    key: str,
    dry: tuple[str, ...],
    project: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(project.root)
    for name in ("run_phase", "run_study"):
        monkeypatch.setattr(f"mahals.harness.runner.study.{name}", lambda *_: pytest.fail("work"))
    before = sorted(project.root.rglob("*"))
    assert main([*typed, *dry]) == 2
    printed = capsys.readouterr()
    assert key in printed.err and not printed.out
    assert sorted(project.root.rglob("*")) == before


def test_what_a_phase_does_not_ask_for_of_a_shared_section_makes_it_no_other(
    project: Workspace,
) -> None:
    """Doses, nulls: neither trainings nor vectors are made again for them, what steers is."""
    one = load_settings(project, None, {})
    other = load_settings(
        project, None, {"suite.doses": [0.25], "suite.doses_beyond": [8], "suite.nulls": 3}
    )
    unlike = {
        name
        for name in PHASES
        if effective(one, load_phase(name)) != effective(other, load_phase(name))
    }
    assert {"same_arch", "cross_arch", "layer_sweep"} <= unlike
    assert not {"preference_tuning", "steering_vectors"} & unlike
    for name in PHASES:
        for key, value in load_phase(name).fixed:
            section, _, field = key.partition(".")
            assert getattr(getattr(effective(other, load_phase(name)), section), field) == value
    with pytest.raises(InputError, match=r"suite\.nulls"):  # what is typed is read all the same
        wrong = load_settings(project, None, {"suite.nulls": "many"})
        effective(wrong, load_phase("steering_vectors"))
