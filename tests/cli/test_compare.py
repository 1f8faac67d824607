"""Comparing: are differences beyond chance counted, by intervals and by trainings?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mahals.cli import main
from mahals.records import canonical
from tests.support.synthetic_results import Made, entry, steered, workspace, write_results

NUMBERS = 40
HALF = 1.96


def metrics_of(values: Sequence[float]) -> dict[str, float]:
    """Numbers with the interval of a standard error of 1, and one without."""
    named = {f"n{i}": float(value) for i, value in enumerate(values)}
    ends = {f"{n}_{end}": v + d for n, v in named.items() for end, d in ENDS.items()}
    return {**named, **ends, "n0_p": 0.5, "bare": 1.0}


ENDS = {"low": -HALF, "high": HALF}


def results(root: Path, values: Sequence[float], **changes: object) -> str:
    made = Made(unit="study", metrics=metrics_of(values), **changes)  # type: ignore[arg-type]
    return str(write_results(workspace(root), made).folder)


def replication(root: Path, trainings: Mapping[int, Sequence[float]], phase: str) -> None:
    """Rows as the phase leaves them."""
    folder = root / "results/replication/study"
    folder.mkdir(parents=True)
    rows = [
        {"phase": phase, "training": seed, "name": f"n{i}", "value": value, "line": None}
        for seed, values in trainings.items()
        for i, value in enumerate(values)
    ]
    (folder / "rows.jsonl").write_text("".join(f"{canonical(row)}\n" for row in rows))


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["compare", *words]) == 0
    return capsys.readouterr().out


def test_differences_beyond_the_interval_of_the_difference_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, (2, NUMBERS))
    b[3], b[5] = a[3] + 9, a[5] - 4
    p = stats.norm.sf(np.abs(a - b) / np.sqrt(2)) * 2  # by the textbook
    outside = int((p < 2 * stats.norm.sf(HALF)).sum())
    text = said(capsys, results(tmp_path / "a", a), results(tmp_path / "b", b), "--top", "1")
    assert f"same_arch/study: {outside} of {NUMBERS} numbers differ by more" in text
    assert f"({outside / NUMBERS:.0%}; about 5 % if" in text
    assert "1 have no interval in both" in text, "the p-value is no number, `bare` has no interval"
    (line,) = [line for line in text.splitlines() if line.startswith("n")][1:]
    assert line.split()[0] == "n3", "the largest first, one alone"
    assert f"... and {outside - 1} more" in text


def outside(trainings: np.ndarray, new: np.ndarray) -> int:
    """How many numbers lie outside the textbook's prediction interval; none that do not vary."""
    count = len(trainings)
    spread = trainings.std(axis=0, ddof=1)
    half = stats.t.ppf(0.975, count - 1) * spread * np.sqrt(1 + 1 / count)
    return int((np.abs(new - trainings.mean(axis=0)) > half)[spread > 0].sum())


def test_trainings_take_the_place_of_the_intervals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(1)
    drawn = rng.normal(0, 30, (6, NUMBERS))  # far wider than the intervals say
    drawn[:, 7] = 2.0  # the same in all
    first, second = results(tmp_path / "a", drawn[0]), results(tmp_path / "b", drawn[5])
    apart = (np.abs(drawn[0] - drawn[5]) > HALF * np.sqrt(2)).sum()
    assert apart > NUMBERS // 2 and f"{apart} of {NUMBERS}" in said(capsys, first, second)
    replication(tmp_path / "a", {s: drawn[s].tolist() for s in range(5)}, "same_arch")
    text = said(capsys, first, second)  # found beside the first
    assert (
        f"{outside(drawn[:5], drawn[5])} of {NUMBERS - 1} numbers of the second lie outside" in text
    )
    assert "of 5 trainings" in text and "1 are the same in all trainings, 0 of these" in text
    given = said(
        capsys, second, first, "--replication", str(tmp_path / "a/results/replication/study")
    )
    assert "the second is training 0, which is left out" in given and "of 4 trainings" in given
    assert f": {outside(drawn[1:5], drawn[0])} of {NUMBERS - 1} numbers" in given


def test_projects_are_compared_phase_by_phase(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "ab":
        for phase in ("same_arch", "cross_arch"):
            results(tmp_path / name, [1.0, 2.0], phase=phase)
        for file in (tmp_path / name).rglob("run.json"):
            file.unlink()  # as in a clone
        bare = tmp_path / name / "results/datasets/study"
        bare.mkdir(parents=True)
        (bare / "metrics.json").write_text('{"prompts": 560}')
    text = said(capsys, str(tmp_path / "a"), str(tmp_path / "b"))
    assert "datasets/study: none of 1 numbers has an interval in both" in text
    assert "cross_arch/study: 0 of 2" in text and "same_arch/study: 0 of 2" in text


@pytest.mark.parametrize("case", ["phase", "unit", "suite", "weights", "none", "trainings", "rows"])
def test_what_cannot_be_compared_is_refused_by_name(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = {"entries": [entry(steered(), 1.0)]}
    first = results(tmp_path / "a", [1.0], **lines)
    words = [first, first]
    if case == "phase":
        words[1] = results(tmp_path / "b", [1.0], phase="cross_arch")
    elif case == "unit":
        made = Made(unit="Llama3_8B", metrics=metrics_of([1.0]))
        words[1] = str(write_results(workspace(tmp_path / "b"), made).folder)
    elif case == "suite":
        words[1] = results(tmp_path / "b", [1.0], entries=[entry(steered(suite="core-2 x"), 1.0)])
    elif case == "weights":
        words[1] = results(tmp_path / "b", [1.0], weights="hub")
    elif case == "none":
        words[1] = str(tmp_path / "absent")
    elif case == "trainings":
        replication(tmp_path / "b", {0: [1.0], 1: [2.0]}, "recovery")
        words += ["--replication", str(tmp_path / "b/results/replication/study")]
    else:
        words += ["--replication", first]
    assert main(["compare", *words]) == 2
    expected = {
        "phase": "same_arch/study, got cross_arch/study",
        "unit": "same_arch/study, got same_arch/Llama3_8B",
        "suite": "suite of same_arch/study",
        "weights": "got hub",
        "none": "no such folder",
        "trainings": "trainings of same_arch, got recovery",
        "rows": "a row of the phase replication",
    }
    assert expected[case] in capsys.readouterr().err


def test_a_fingerprint_names_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(results(tmp_path, [1.0, 2.0]))
    monkeypatch.chdir(tmp_path)
    mark = json.loads((folder / "run.json").read_text())["fingerprint"]
    assert "0 of 2 numbers" in said(capsys, mark[:12], str(folder))
    assert main(["compare", "0" * 12, str(folder)]) == 2
    assert "that of one result here" in capsys.readouterr().err


def test_fewer_than_two_other_trainings_are_no_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = results(tmp_path / "a", [1.0, 2.0]), results(tmp_path / "b", [1.5, 2.5])
    replication(tmp_path / "a", {0: [1.0, 2.0], 1: [1.5, 2.5]}, "same_arch")
    text = said(capsys, first, second)
    assert "0 of 2 numbers differ by more than the 95 % interval of the difference" in text
    assert "the second is training 1" in text and "fewer than two trainings are left" in text
    assert "prediction" not in text
