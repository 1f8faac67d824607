"""Does weights=hub run end to end on checkpoints in the hub's own cache, with no network?"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
import yaml

from mahals.data.world.grammar import World
from mahals.harness.leaderboard.collect import collect
from mahals.harness.leaderboard.ranking import boards
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results, all_results
from mahals.kernels import OWN, PINNED, X86
from mahals.models.organisms.shapes import OrganismShape, build
from mahals.models.organisms.tokenizer import train_tokenizer
from tests.support.hub_checkpoints import TINY, cache_checkpoint, write_texts
from tests.support.light_repository import ROOT, copy_tree, environment, git, run
from tests.support.synthetic_results import empty_store

pytestmark = pytest.mark.slow

SHAPES = {  # one deeper than the five blocks that `auto` steers, one not; of unlike widths
    "Qwen2_7B": OrganismShape("Qwen2", 32, 6, 1, 1, 64, True),
    "Falcon_7B": OrganismShape("Falcon", 64, 4, 2, 1, 64, True),
}
STEERED = {"Qwen2_7B": (1, 2, 3, 4, 5), "Falcon_7B": (0, 1, 2, 3)}


@dataclass(frozen=True)
class HubStudy:
    """A copy of the project, and the cache its models come from."""

    root: Path
    env: Mapping[str, str]
    keys: tuple[str, ...]
    output: str

    def results(self) -> dict[tuple[str, str], Results]:
        """Everything that was measured, by phase and unit."""
        return {(r.phase, r.unit): r for r in all_results(Workspace(self.root))}


def entry_of(key: str) -> dict[str, Any]:
    entries = yaml.safe_load((ROOT / "benchmarks/models.yaml").read_text())
    found: dict[str, Any] = entries[key]
    return found


def fill_cache(hub: Path) -> None:
    """Base: no chat template and no pad token, as pretrained checkpoints come. Aligned: both."""
    chat, plain = (train_tokenizer(World(0)) for _ in range(2))
    plain.chat_template = plain.pad_token = None
    for number, (key, shape) in enumerate(SHAPES.items()):
        base, aligned = (build(shape, chat, number) for _ in range(2))
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(number)
            for model in (base, aligned):  # a sure model: its words depend on its states
                model.get_output_embeddings().weight *= 6
            for weights in aligned.parameters():
                weights += 0.02 * torch.randn_like(weights)
        entry = entry_of(key)
        cache_checkpoint(hub, entry["base"], base, plain)
        cache_checkpoint(hub, entry["aligned"], aligned, chat)


@pytest.fixture(scope="module")
def hub_study(tmp_path_factory: pytest.TempPathFactory) -> HubStudy:
    """The study at weights=hub on two small checkpoints of the registry's classes, with the CPU's
    own kernels, as a user's is: those that all tests are told are taken back.
    """
    base = tmp_path_factory.mktemp("hub")
    root, home = base / "copy", base / "hf"
    copy_tree(root)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=copy")
    fill_cache(home / "hub")
    texts = dict(write_texts(base))
    told = environment(HF_HOME=str(home), HF_HUB_CACHE=str(home / "hub"), HF_HUB_OFFLINE="1")
    env = {name: value for name, value in told.items() if name not in PINNED}
    values = {"weights": "hub", "models": f"[{', '.join(SHAPES)}]", "overlay": "smoke"}
    keys = [word for k, v in (values | TINY | texts).items() for word in (f"--{k}", str(v))]
    done = run(root, "python", "-m", "mahals", "study", *keys, env=env)
    return HubStudy(root, env, tuple(keys), done.stdout)


def test_every_phase_but_organisms_is_measured_outside_results(hub_study: HubStudy) -> None:
    units = [*SHAPES, "study"]
    expected = {("datasets", "study")} | {
        (phase, unit)
        for phase in ("baseline_aqi", "steering_vectors", "same_arch", "cross_arch")
        for unit in units
    }
    found = hub_study.results()
    assert set(found) == expected
    for each in found.values():
        assert each.folder.parent == hub_study.root / ".mahals/runs"
        assert each.run()["weights"] == "hub" and not each.is_canonical
    assert not git(hub_study.root, "status", "--porcelain", "results", "data")
    assert not (hub_study.root / "results").exists()


def test_rows_say_hub_and_the_blocks_that_auto_means_there(hub_study: HubStudy) -> None:
    found = hub_study.results()
    for key, blocks in STEERED.items():
        for phase in ("same_arch", "cross_arch"):
            rows = found[phase, key].rows()
            assert {r.weights for r in rows} == {"hub"} and {r.target for r in rows} == {key}
            steered = [r for r in rows if r.arm in ("steered", "flipped", "random", "shuffled")]
            assert steered and {r.layers for r in steered} == {blocks}
        vectors = found["steering_vectors", key].rows()
        assert {r.block for r in vectors if r.steered} == set(blocks)
        assert {r.texts for r in vectors} == {"answers"}
        assert {r.revision for r in vectors} == {entry_of(key)["base"]["revision"]}
        assert not any(r.readout == "sham" for r in found["baseline_aqi", key].rows())


def test_run_json_says_in_which_form_prompts_were_read(hub_study: HubStudy) -> None:
    for key in SHAPES:
        told = hub_study.results()["same_arch", key].run()["checkpoints"][key]
        assert told["base"]["reads"].startswith("prompts alone")
        assert told["aligned"]["reads"] == "prompts in the chat template of its tokenizer"


def test_placements_differ_where_several_blocks_are_steered(hub_study: HubStudy) -> None:
    rows = hub_study.results()["same_arch", "Qwen2_7B"].rows()
    assert {r.placement for r in rows if r.arm == "steered"} == {"raw", "increments"}


def test_vectors_cross_both_ways(hub_study: HubStudy) -> None:
    found = hub_study.results()
    one, other = SHAPES
    for target, source in ((one, other), (other, one)):
        rows = [r for r in found["cross_arch", target].rows() if r.source == source]
        assert {r.map for r in rows} == {"pad", "ridge"}


def test_the_board_of_hub_weights_stands_apart(hub_study: HubStudy) -> None:
    collected = collect(list(hub_study.results().values()))
    (board,) = boards(collected.entries)
    assert board.weights == "hub" and board.lines
    assert {e.configuration.target for e in collected.entries} == set(SHAPES)
    assert "hub" in hub_study.output
    uri = f"sqlite:///{hub_study.root / 'mlflow.db'}"
    client = mlflow.MlflowClient(uri, uri)
    names = {model.name for model in client.search_registered_models(max_results=1000)}
    assert names and all(name.endswith(".hub") for name in names)
    for experiment in client.search_experiments():
        for each in client.search_runs([experiment.experiment_id]):
            assert each.info.status == "FINISHED"


def test_a_second_time_nothing_is_measured(hub_study: HubStudy) -> None:
    before = {p: p.stat().st_mtime_ns for p in hub_study.root.rglob("rows.jsonl")}
    done = run(
        hub_study.root, "python", "-m", "mahals", "run", "cross_arch", *hub_study.keys,
        env=hub_study.env,
    )  # fmt: skip
    assert "cross_arch" in done.stdout
    assert {p: p.stat().st_mtime_ns for p in hub_study.root.rglob("rows.jsonl")} == before


def test_models_shows_what_the_cache_holds(hub_study: HubStudy) -> None:
    done = run(hub_study.root, "python", "-m", "mahals", "models", env=hub_study.env)
    for line in done.stdout.splitlines()[2:]:
        here = "base, aligned" if line.split()[0] in SHAPES else "nothing"
        assert line.endswith(f"  {here}")


@pytest.mark.parametrize("role", ["base", "aligned"])
def test_a_checkpoint_that_is_not_there_is_one_line_with_the_cure(
    hub_study: HubStudy, role: str, tmp_path: Path
) -> None:
    home = tmp_path / "hf"
    shutil.copytree(hub_study.env["HF_HOME"], home, symlinks=True)
    ref = entry_of("Qwen2_7B")[role]
    shutil.rmtree(home / "hub" / f"models--{ref['id'].replace('/', '--')}")
    env = {**hub_study.env, "HF_HOME": str(home), "HF_HUB_CACHE": str(home / "hub")}
    before = {each.fingerprint for each in all_results(Workspace(hub_study.root))}
    done = subprocess.run(
        ["python", "-m", "mahals", "run", "steering_vectors", *hub_study.keys, "--seed", "1"],
        cwd=hub_study.root, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stdout + done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("mahals: ")]
    assert len(said) == 1 and "Traceback" not in done.stderr
    assert ref["id"] in said[0] and ref["revision"] in said[0]
    assert f"hf download {ref['id']}" in said[0]
    assert before <= {each.fingerprint for each in all_results(Workspace(hub_study.root))}


def kernels_of(results: Results) -> dict[str, Any]:
    """What all its tasks were computed with, as run.json says."""
    (found,) = results.run()["ran_on"]
    return dict(found)


@pytest.mark.skipif(platform.machine() not in X86, reason="kernels of x86-64")
def test_the_cpus_own_kernels_and_those_of_the_oldest_agree(
    hub_study: HubStudy, tmp_path: Path
) -> None:
    """baseline_aqi again, in a copy that holds none of it, with what organisms are measured with.

    Of 648 scores (AVX-512 against the oldest) 587 differ, by 0.00001 points at most; a tenth of the
    second decimal, in which pages give AQI, is allowed.
    """
    root = tmp_path / "copy"
    left_out = shutil.ignore_patterns("cache", "mlruns", "mlflow.db*")
    shutil.copytree(hub_study.root, root, symlinks=True, ignore=left_out)
    for results in all_results(Workspace(root)):
        if results.phase == "baseline_aqi":
            shutil.rmtree(results.folder)
    empty_store(root)
    words = ("python", "-m", "mahals", "run", "baseline_aqi", *hub_study.keys)
    run(root, *words, env={**hub_study.env, **PINNED})
    own, oldest = hub_study.results(), {(r.phase, r.unit): r for r in all_results(Workspace(root))}
    differences: list[float] = []
    for key in (("baseline_aqi", unit) for unit in SHAPES):
        mine, plain = kernels_of(own[key]), kernels_of(oldest[key])
        assert mine["mkl"] == OWN and plain["mkl"] == PINNED["MKL_CBWR"]
        assert plain["torch"] == "DEFAULT" and plain["blas"] == [PINNED["OPENBLAS_CORETYPE"]]
        if mine["torch"] == "DEFAULT":
            pytest.skip("this CPU has no kernels but the oldest")
        assert mine["torch"] in ("AVX2", "AVX512") and mine["numpy"] and not plain["numpy"]
        pairs = zip(own[key].rows(), oldest[key].rows(), strict=True)
        differences += [abs(r.aqi - s.aqi) for r, s in pairs]
    assert 0 < max(differences) < 0.001
    gathers = (str(found["baseline_aqi", "study"].folder) for found in (own, oldest))
    said = run(root, "python", "-m", "mahals", "compare", *gathers).stdout
    shared = re.match(r"baseline_aqi/study: 0 of (\d+) numbers differ by more than the 95 %", said)
    assert shared and int(shared[1]) >= len(SHAPES), said
