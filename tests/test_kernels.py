"""Kernels: does a worker compute with those that it was given, and does it say so?"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from unittest import mock

import pytest

from mahals.kernels import OWN, PINNED, X86, described, environment
from tests.support import toy_study as toy
from tests.support.places import ROOT

pytestmark = pytest.mark.skipif(platform.machine() not in X86, reason="kernels of x86-64")

FORKED = (
    "from mahals.harness.engines.process import prepare_to_fork\n"
    "prepare_to_fork(kernels)\n"
    "import numpy, scipy.linalg, torch\n"
)
CODE = """
import json
from mahals.harness.engines.pool import LocalPool
from mahals.kernels import environment
from tests.support.engine_jobs import Watch, job, kernels_in_use
if __name__ == "__main__":
    kernels = environment({weights!r})
    {first}
    watch = Watch()
    with LocalPool(1, None, kernels) as pool:
        pool.run([job("k", kernels_in_use, None)], watch)
    print(json.dumps(watch.values["k"]))
"""


def worker(weights: str, first: str) -> dict[str, object]:
    """What a worker of these weights says that it computes with; its parent was told nothing."""
    lines = "\n    ".join(first.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(weights=weights, first=lines)],
        env={**{k: v for k, v in os.environ.items() if k not in PINNED}, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("first", ["", FORKED], ids=["spawned", "forked"])
def test_an_organisms_worker_has_the_pinned_kernels_and_says_so(first: str) -> None:
    found = worker("organism", first)
    assert (found["torch"], found["mkl"]) == ("DEFAULT", "COMPATIBLE")
    assert (found["blas"], found["numpy"]) == (["Nehalem"], [])


@pytest.mark.parametrize("first", ["", FORKED], ids=["spawned", "forked"])
def test_a_checkpoint_of_the_hub_keeps_the_cpus_own(first: str) -> None:
    found = worker("hub", first)
    assert found["mkl"] == OWN
    flags = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    if " avx2 " in flags:
        assert found["torch"] in ("AVX2", "AVX512") and found["numpy"]


@pytest.mark.parametrize(("weights", "mkl"), [("organism", "COMPATIBLE"), ("hub", OWN)])
def test_run_json_says_what_the_workers_of_a_study_computed_with(
    weights: str, mkl: str, tmp_path: Path
) -> None:
    toy.make(tmp_path, weights=weights, models=["A"])
    plain = {k: v for k, v in os.environ.items() if k not in PINNED}
    with mock.patch.dict(os.environ, plain, clear=True):
        process = toy.start(tmp_path, "words")
    out, _ = process.communicate()
    assert process.returncode == 0, out
    (found,) = tmp_path.glob("**/words/study/run.json")
    run = json.loads(found.read_text())
    assert [each["mkl"] for each in run["ran_on"]] == [mkl]
    assert mkl in run["machine"]["kernels"]


def test_the_command_line_is_ready_to_fork_workers_of_the_weights_it_was_given() -> None:
    code = (
        "from argparse import Namespace\n"
        "from mahals.cli.run import read_settings\n"
        "from mahals.harness.engines.process import forks\n"
        "from mahals.kernels import environment\n"
        "options = Namespace(set=['weights={weights}'])\n"
        "read_settings(options, {{}}, 'organisms')\n"
        "print([forks(environment(each)) for each in ('organism', 'hub')])\n"
    )
    for weights, forked in (("organism", [True, False]), ("hub", [False, True])):
        words = [sys.executable, "-c", code.format(weights=weights)]
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
        assert done.stdout == f"{forked}\n", done.stderr


def test_a_worker_is_not_forked_from_a_process_of_other_kernels() -> None:
    code = (
        "from mahals.harness.engines.process import forks, prepare_to_fork\n"
        "from mahals.kernels import environment\n"
        "prepare_to_fork(environment('hub'))\n"
        "print(forks(environment('hub')), forks(environment('organism')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "True False\n", done.stderr


def test_the_fingerprint_tells_them_apart() -> None:
    assert described(environment("hub")) == OWN
    assert "MKL_CBWR=COMPATIBLE" in described(environment("organism"))
