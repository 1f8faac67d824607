"""Numbers: are they read from as few files as a clone has, and refused where they say nothing?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mahals.harness.workspace.numbers import read_told, read_trainings
from mahals.records import InputError
from tests.support.synthetic_results import Made, entry, steered, workspace, write_results


def test_what_results_are_of_is_in_their_files(tmp_path: Path) -> None:
    made = write_results(
        workspace(tmp_path), Made(entries=[entry(steered(), 1.0)], canonical=False)
    )
    (told,) = read_told(str(made.folder))
    assert (told.name, told.weights) == ("same_arch/Mistral_7B", "organism")
    assert told.suites == {steered().suite}
    assert told.metrics == made.metrics()


def test_metrics_alone_say_by_their_path_what_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "results/baseline_aqi/study"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text('{"aqi": 1, "aqi_low": 0, "aqi_high": 2, "aqi_p": 0.5}')
    for named in (folder, tmp_path):  # the results, and the project they are in
        (told,) = read_told(str(named))
        assert (told.name, told.weights, told.suites) == ("baseline_aqi/study", None, frozenset())
        assert set(told.estimates) == {"aqi"} and told.estimates["aqi"].has_width
    other = tmp_path / "elsewhere"
    folder.rename(other)
    with pytest.raises(InputError, match=r"run.json: expected a file"):
        read_told(str(other))


def test_broken_files_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{")
    with pytest.raises(InputError, match=r"metrics.json: expected JSON"):
        read_told(str(tmp_path))
    with pytest.raises(InputError, match=r"neither"):
        read_told(str(tmp_path.parent))
    with pytest.raises(InputError, match=r"rows.jsonl: expected a readable file"):
        read_trainings(tmp_path)


def test_trainings_are_numbers_and_no_lines(tmp_path: Path) -> None:
    row = {"phase": "same_arch", "training": 4, "name": "n", "value": 1.5, "line": None}
    rows = [row, {**row, "training": 5, "value": None}, {**row, "name": "x", "line": {"arm": "a"}}]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in rows))
    assert read_trainings(tmp_path) == {"same_arch": {"n": {4: 1.5}}}
