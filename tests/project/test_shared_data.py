"""Do real preference pairs, all of them, give steering vectors? (hh-rlhf, harmless-base, test)"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mahals import load_vector
from mahals.data.files import read_lines
from mahals.data.texts import Pair
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results, all_results
from tests.support.light_repository import ROOT, environment, run
from tests.support.small_study import SmallStudy

PAIRS = (ROOT / "../shared/data/hh-rlhf-harmless-base-test.jsonl.gz").resolve()
MODEL, COUNT = "Llama3_8B", 2312
EMPTY = 4  # lines 87, 517, 926 and 1104 have an empty preferred answer
METHODS = ["mean_difference", "svd_k", "contrast", "pca", "probe"]
KEYS = {
    "models": f"[{MODEL}]",
    "overlay": "smoke",
    "datasets.pairs.organism": str(PAIRS),
    "datasets.shares": "{extraction: 1, mapping: 0, selection: 0, evaluation: 0}",
    "datasets.pairs_per_split": str(COUNT),
    "steering_vectors.texts.organism": "answers",
    "steering_vectors.pairs": "0",
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.shared_data,
    pytest.mark.skipif(not PAIRS.is_file(), reason="../shared/data is absent"),
]


@pytest.fixture(scope="module")
def copy(study: SmallStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study with its trained organisms, to add results to."""
    root = tmp_path_factory.mktemp("real-pairs") / "copy"
    left = shutil.ignore_patterns("mlflow.db*", "mlruns")
    shutil.copytree(study.root, root, symlinks=True, ignore=left)
    return root


def _run(root: Path, *more: str, code: int = 0) -> tuple[str, str]:
    words = [word for key, value in KEYS.items() for word in (f"--{key}", value)]
    command = ("python", "-m", "mahals", "run", "steering_vectors", *words, *more)
    done = run(root, *command, env=environment(), code=code)
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def made(copy: Path) -> Results:
    """What the phase left on all real pairs."""
    before = {r.fingerprint for r in all_results(Workspace(copy))}
    _run(copy)
    (found,) = [
        r
        for r in all_results(Workspace(copy))
        if r.fingerprint not in before and (r.phase, r.unit) == ("steering_vectors", MODEL)
    ]
    return found


def test_all_pairs_are_read_and_the_empty_answers_counted(copy: Path, made: Results) -> None:
    (data,) = [
        r
        for r in all_results(Workspace(copy))
        if r.phase == "datasets" and r.folder.parent.name == "runs" and _pairs_of(r) == COUNT
    ]
    pairs = read_lines(Pair, next(data.folder.rglob("pairs.jsonl")))
    assert sum(not p.chosen for p in pairs) == EMPTY
    rows = made.rows()
    assert [m for m in dict.fromkeys(r.method for r in rows)] == METHODS
    assert {(r.samples, r.texts, r.empty) for r in rows} == {(COUNT, "answers", EMPTY)}
    assert made.folder.parent == copy / ".mahals/runs"


def _pairs_of(data: Results) -> int:
    return sum(row.count for row in data.rows() if row.file == "pairs")


def test_the_vectors_are_reliable_and_load_back(made: Results) -> None:
    rows = made.rows()
    for method in METHODS:
        own = [r for r in rows if r.method == method]
        place = made.folder / "kept" / f"{method}.safetensors"
        vector = load_vector(place)
        assert vector.values.shape == (own[0].blocks, own[0].width) == (len(own), own[0].width)
        assert torch.equal(vector.values, load_file(place)["values"])
        norms = vector.values.double().norm(dim=1).tolist()
        assert norms == pytest.approx([r.norm for r in own], rel=1e-5)
        # chosen against rejected says little to an organism that never read such talk: its
        # contrast comes again at .66 to .73, its probe at 0 to .3, the mean shift at .999
        if method == "mean_difference":
            assert min(r.split_half for r in own) > 0.99
        assert [r.selection_gain is not None for r in own] == [r.steered for r in own]


def test_the_mean_over_an_empty_answer_is_refused(copy: Path, made: Results) -> None:
    _, said = _run(copy, "--steering_vectors.pool", "mean", code=2)
    (line,) = [each for each in said.splitlines() if each.startswith("mahals: ")]
    assert "steering_vectors.pool" in line and f"{EMPTY} of {COUNT}" in line
    assert "Traceback" not in said
