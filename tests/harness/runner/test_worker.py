"""Worker: does a task give its own rows, what it kept and what it used, and nothing else?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mahals.harness.runner import worker
from mahals.harness.runner.journal import JournalPlace
from mahals.harness.runner.lab import LabSpec
from mahals.harness.runner.prepare import lab_spec, planned
from mahals.harness.runner.worker import MeasureArgs, measure_task
from mahals.harness.workspace.files import sha256
from mahals.harness.workspace.fingerprint import Resolver
from mahals.records import InputError, digest
from mahals.usage import note_budget, note_halved
from tests.support import toy_study as toy
from tests.support.toy_phases.grow import measure


@pytest.fixture
def spec(tmp_path: Path) -> LabSpec:
    """What a task of `grow` A needs, in a workspace where `words` is finished."""
    workspace = toy.make(tmp_path)
    toy.run(workspace, "words")
    resolver = Resolver(workspace, toy.settings_of(workspace))
    return lab_spec(resolver, "grow", "A", JournalPlace(tmp_path / "journal"))


def replaced(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Any, Iterator[Any]], Iterator[Any]]
) -> None:
    """Lets tasks of `grow` measure what `change` makes of their lab and rows."""
    real = measure.measure
    monkeypatch.setattr(measure, "measure", lambda t, p, lab: change(lab, real(t, p, lab)))


def test_a_task_gives_its_rows_its_kept_files_and_its_time(spec: LabSpec) -> None:
    task = planned(spec, 0)[1]
    steps: list[tuple[str, int, int]] = []
    began = time.monotonic()
    done = measure_task(MeasureArgs(spec, task), lambda *step: steps.append(step))
    assert 0 <= done.seconds <= time.monotonic() - began + 0.001
    assert done.task == digest(task)
    rows = [json.loads(row) for row in done.rows]
    assert [(r["model"], r["position"], r["part"]) for r in rows] == [
        ("A", 1, part) for part in range(5)
    ]
    assert set(done.kept) == {f"values1/{part}.txt" for part in range(5)}
    for name, value in done.kept.items():
        assert sha256(spec.journal.kept / name) == value
    assert steps == [("steps", n, 5) for n in range(1, 6)]
    assert (done.budgets, done.halved) == ((), 0)


def test_what_batches_used_is_noted_of_this_task_alone(
    spec: LabSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def using(lab: Any, rows: Iterator[Any]) -> Iterator[Any]:
        for tokens in (4096, 64, 4096):
            note_budget(tokens)
        note_halved()
        yield from rows

    first, second = planned(spec, 2)
    with monkeypatch.context() as patch:
        replaced(patch, using)
        used = measure_task(MeasureArgs(spec, first), lambda *_: None)
    assert (used.budgets, used.halved) == ((64, 4096), 1)
    after = measure_task(MeasureArgs(spec, second), lambda *_: None)
    assert (after.budgets, after.halved) == ((), 0)


def test_a_row_of_another_type_is_an_error_and_the_lab_takes_no_more(
    spec: LabSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    labs: list[Any] = []

    def other(lab: Any, rows: Iterator[Any]) -> Iterator[Any]:
        labs.append(lab)
        yield from rows
        yield {"model": "A"}

    replaced(monkeypatch, other)
    with pytest.raises(TypeError, match="grow measured a dict, not its Row"):
        measure_task(MeasureArgs(spec, planned(spec, 1)[0]), lambda *_: None)
    assert labs[0].staged is None


def test_the_labs_of_few_units_stay_in_memory(
    spec: LabSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_labs", type(worker._labs)())
    monkeypatch.setattr(worker, "LABS_IN_MEMORY", 2)
    places = [JournalPlace(spec.journal.folder / name) for name in "abc"]
    specs = [LabSpec(**{**vars(spec), "journal": place}) for place in places]
    first, second = worker._lab(specs[0]), worker._lab(specs[1])
    assert worker._lab(specs[0]) is first
    worker._lab(specs[2])
    assert worker._lab(specs[0]) is first and worker._lab(specs[1]) is not second


def test_a_task_that_memory_does_not_hold_names_the_keys(
    spec: LabSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(lab: Any, rows: Iterator[Any]) -> Iterator[Any]:
        yield next(rows)
        raise MemoryError

    replaced(monkeypatch, short)
    with pytest.raises(InputError, match=r"quantize: 4bit .*--workers 1") as error:
        measure_task(MeasureArgs(spec, planned(spec, 1)[0]), lambda *_: None)
    assert "\n" not in str(error.value) and str(error.value).startswith("grow/A: ")
