"""Summaries: are numbers and figures made of rows that are there, without measuring?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mahals.harness.runner.progress import Session
from mahals.harness.runner.summarize import gather, redraw
from mahals.records import InputError
from tests.support import toy_study as toy
from tests.support.toy_runs import outputs


def test_the_gather_sums_up_all_units(reference: Path) -> None:
    numbers = {
        unit: json.loads((reference / f"results/grow/{unit}/metrics.json").read_text())["sum"]
        for unit in ("A", "B", "study")
    }
    assert numbers["study"] == pytest.approx(numbers["A"] + numbers["B"])
    cross = json.loads((reference / "results/cross/study/metrics.json").read_text())["sum"]
    assert cross == pytest.approx(2 * (numbers["A"] ** 2 + numbers["B"] ** 2))


def test_one_unit_is_measured_alone_and_the_gather_comes_after(
    tmp_path: Path, reference: Path
) -> None:
    workspace = toy.make(tmp_path)
    for unit in ("B", "A"):
        made = toy.run(workspace, "grow", Session(toy.quiet(), units=(unit,)))
        assert [results.unit for results in made] == [unit]
    assert not (tmp_path / "results/grow/study").exists()
    with toy.inline():
        gather("grow", toy.settings_of(workspace), workspace, Session(toy.quiet()))
    wanted = {k: v for k, v in outputs(reference).items() if "cross" not in k}
    assert outputs(tmp_path) == wanted
    with pytest.raises(InputError, match="unknown unit of grow"):
        toy.run(workspace, "grow", Session(toy.quiet(), units=("D",)))
    with pytest.raises(InputError, match="results of cross A"):
        gather("cross", toy.settings_of(workspace), workspace, Session(toy.quiet()))


def test_figures_and_numbers_are_drawn_again_without_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = toy.make(tmp_path)
    toy.run(workspace, "grow")
    before = outputs(tmp_path)
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    for lost in ("results/grow/A/figures/values.png", "results/grow/B/metrics.json"):
        (tmp_path / lost).unlink()
    (tmp_path / "results/grow/study/summary.json").unlink()
    toy.run(workspace, "grow")
    assert outputs(tmp_path) == before
    (tmp_path / "results/grow/A/figures/values.png").write_bytes(b"")
    with toy.inline():
        redraw("grow", toy.settings_of(workspace), workspace, Session(toy.quiet()))
    assert outputs(tmp_path) == before
    assert not (tmp_path / "log").exists()
