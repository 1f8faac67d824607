"""Forecast: does it tell what is to be done, and in what time?"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import pytest

from mahals.harness.runner.forecast import UnitForecast, at_once, forecast
from mahals.harness.workspace.settings import load_settings
from tests.support import retrained
from tests.support import toy_study as toy


def test_the_forecast_tells_what_is_to_be_done(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    settings = toy.settings_of(workspace)
    before = forecast("grow", settings, workspace, 1)
    assert [(u.phase, u.state, u.tasks) for u in before.upstream] == [("words", "to do", 1)]
    assert [u.state for u in before.units] == ["waits for upstream"] * 2
    toy.run(workspace, "words")
    ready = forecast("grow", settings, workspace, 1)
    assert [(u.state, u.tasks) for u in ready.units] == [("to do", 4)] * 2
    assert ready.seconds == pytest.approx(2 * 4 * 0.5)  # the phase's own guess
    assert ready.megabytes == pytest.approx(2 * 4 * 0.1)
    toy.run(workspace, "grow")
    assert {u.state for u in forecast("grow", settings, workspace, 1).units} == {"complete"}
    other = load_settings(workspace, None, {"grow.scale": 2.0})
    runs = [json.loads((tmp_path / f"results/grow/{u}/run.json").read_text()) for u in "AB"]
    measured = median(second for run in runs for second in run["seconds"]["tasks"])
    assert forecast("grow", other, workspace, 1).seconds == pytest.approx(8 * measured)


def test_what_other_trainings_lack_is_named_with_their_seed(tmp_path: Path) -> None:
    workspace = retrained.make(tmp_path)
    toy.run(workspace, "organisms")
    plan = forecast("again", toy.settings_of(workspace), workspace)
    assert [item.unit for item in plan.upstream] == ["A, training 4", "B, training 4"]
    assert [item.state for item in plan.units] == ["waits for upstream"]
    toy.run(workspace, "again")
    assert forecast("again", toy.settings_of(workspace), workspace).upstream == ()


def test_time_is_shared_by_processes_that_tasks_can_use() -> None:
    def unit(phase: str, tasks: int | None, done: int = 0, state: str = "to do") -> UnitForecast:
        return UnitForecast(phase, "A", state, tasks, done, ("A",), "f", 1.0, 1.0, None)  # type: ignore[arg-type]

    one = [unit("vectors", 1), unit("sweep", 5, 2), unit("sweep", None, 0, "waits for upstream")]
    assert at_once(one, "vectors", 16) == 1, "a search lives inside one task"
    assert at_once(one, "sweep", 16) == 4 and at_once(one, "sweep", 2) == 2
    assert at_once([unit("vectors", 0, 0, "complete")], "vectors", 2) == 1
