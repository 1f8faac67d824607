"""Output: are a unit's results whole or not there, whenever the process ends?"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from mahals.kernels import OWN, cpu_name, described, environment
from mahals.records import InputError
from tests.support import toy_study as toy
from tests.support.toy_runs import outputs


class Killed(BaseException):
    """Stands for the end of the process: no handler of the code under test catches it."""


def test_a_kill_while_results_are_written_is_made_good(tmp_path: Path) -> None:
    """Stops at the n-th replaced file while a unit is finished, for every n."""
    values = {"models": ["A"], "grow": {"tasks": 2, "seconds": 0.0, "scale": 1.0}}
    whole = toy.make(tmp_path / "whole", **values)
    toy.run(whole, "grow")
    wanted, real = outputs(whole.root), os.replace
    for step in range(40):
        workspace = toy.make(tmp_path / str(step), **values)
        toy.run(workspace, "words")
        left = [step]

        def replace(*names: Any, left: list[int] = left) -> None:
            if any("/results/" in str(name) for name in names):
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
            real(*names)

        with mock.patch.object(os, "replace", replace):
            try:
                toy.run(workspace, "grow")
            except Killed:
                left[0] = -1
        toy.run(workspace, "grow")
        assert outputs(workspace.root) == wanted, step
        if left[0] >= 0:
            return
    raise AssertionError("more than 40 files replaced")


def test_what_a_unit_keeps_is_on_disk_before_it_counts_as_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fsync

    def noted(handle: int) -> None:
        real(handle)
        synced.append(os.fstat(handle).st_ino)

    workspace = toy.make(tmp_path, models=["A"])
    toy.run(workspace, "words")
    monkeypatch.setattr(os, "fsync", noted)
    toy.run(workspace, "grow")
    unit = tmp_path / "results/grow/A"
    kept = {path.stat().st_ino for path in (unit / "kept").rglob("*.txt")}
    assert len(kept) == 20
    assert kept <= set(synced[: synced.index((unit / "run.json").stat().st_ino)])


def test_a_results_folder_that_cannot_be_written_is_found_before_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = toy.make(tmp_path)
    toy.run(workspace, "words")
    (tmp_path / "results/grow").write_text("a file where a folder must be")
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    with pytest.raises(InputError, match="a place that can be written"):
        toy.run(workspace, "grow")
    assert not (tmp_path / "log").exists()


def test_corrupted_results_are_made_again(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    toy.run(workspace, "grow")
    before = outputs(tmp_path)
    (tmp_path / "results/grow/A/kept/values0/0.txt").write_text("nonsense")
    (tmp_path / "results/grow/B/rows.jsonl").write_text("")
    toy.run(workspace, "grow")
    assert outputs(tmp_path) == before


def test_run_json_says_how_it_was_made(reference: Path) -> None:
    run: dict[str, Any] = json.loads((reference / "results/grow/A/run.json").read_text())
    assert run["canonical"] and not run["gather"]
    assert len(run["seconds"]["tasks"]) == 4
    assert run["batches"] == {  # toy phases read no model
        "tokens": [], "halved": 0, "tasks": [{"tokens": [], "halved": 0}] * 4,
    }  # fmt: skip
    assert run["inputs"]["params"] == {"tasks": 4, "seconds": 0.0, "scale": 1.0}
    assert set(run["inputs"]["upstream"]) == {"words/study"}
    assert run["machine"] == {
        "device": "cpu", "dtype": "float32", "threads": 1, "batch": "fixed token budget",
        "kernels": described(environment("organism")),
    }  # fmt: skip
    assert run["inputs"]["machine"] == run["machine"], "a change of kernels is another fingerprint"
    (ran_on,) = run["ran_on"]  # what the process says of itself, not what was asked for
    assert ran_on["cpu"] == cpu_name() and ran_on["mkl"] == os.environ.get("MKL_CBWR", OWN)
    assert {"python", "torch", "transformers"} <= set(run["versions"])
    assert set(run["kept"]) == {f"values{i}/{part}.txt" for i in range(4) for part in range(5)}
