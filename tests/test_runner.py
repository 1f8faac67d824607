"""Does a study end with the same bytes whatever happens to it on the way?"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import pytest

from mahals.harness.engines.pool import Handler, Job
from mahals.harness.engines.process import TaskError
from mahals.harness.runner.finish import picture
from mahals.harness.runner.forecast import forecast
from mahals.harness.runner.journal import Done, Journal, read_line
from mahals.harness.runner.progress import Later, Session
from mahals.harness.runner.study import run_study
from mahals.harness.runner.summarize import gather, redraw
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.harness.workspace.settings import load_settings
from mahals.harness.workspace.telling import is_told
from mahals.phases.registry import STUDIES
from mahals.records import InputError
from tests.support import toy_study as toy

KILLS = 3


class Watch:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, str, int, int]] = []
        self.made: list[tuple[str, str]] = []
        self.failures: list[tuple[str, str, str]] = []
        self.shares: list[tuple[str, float, int]] = []

    def task_done(self, phase: str, unit: str, done: int, total: int, seconds: float) -> None:
        assert seconds >= 0
        self.tasks.append((phase, unit, done, total))

    def phase_done(self, results: Results) -> None:
        assert results.broken() is None and is_told(results)
        self.made.append((results.phase, results.unit))

    def failed(self, phase: str, unit: str, error: BaseException) -> None:
        self.failures.append((phase, unit, type(error).__name__))

    def tick(self) -> None:
        pass

    def under_way(self, phase: str, done: float, total: int) -> None:
        self.shares.append((phase, done, total))


def outputs(folder: Path) -> dict[str, bytes]:
    """Every file below results/ and data/ that must not differ between runs."""
    files = [*(folder / "results").rglob("*"), *(folder / "data").rglob("*")]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if path.is_file() and path.name != "run.json"
    }


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which the whole toy study ran undisturbed with one worker."""
    workspace = toy.make(tmp_path_factory.mktemp("reference"))
    toy.run(workspace, "cross", Session(toy.quiet(), workers=1))
    return workspace.root


def test_a_study_leaves_rows_numbers_figures_and_nothing_else(reference: Path) -> None:
    grow = reference / "results/grow/A"
    rows = [json.loads(line) for line in (grow / "rows.jsonl").read_text().splitlines()]
    assert [(row["position"], row["part"]) for row in rows] == [
        (i, part) for i in range(4) for part in range(5)
    ]
    metrics = json.loads((grow / "metrics.json").read_text())
    assert metrics == {"rows": 20.0, "sum": pytest.approx(sum(row["value"] for row in rows))}
    assert (grow / "figures/values.png").read_bytes().startswith(b"\x89PNG")
    assert (grow / "kept/values3/4.txt").is_file()
    assert (reference / "data/words.txt").read_text() == "word0\nword1\nword2"
    assert not list((reference / ".mahals").rglob("*.*"))  # no journal, lock or draft stays
    names = {path.name for path in reference.rglob("*")}
    assert not [name for name in names if name.endswith((".tmp", ".old"))]


def test_the_gather_sums_up_all_units(reference: Path) -> None:
    numbers = {
        unit: json.loads((reference / f"results/grow/{unit}/metrics.json").read_text())["sum"]
        for unit in ("A", "B", "study")
    }
    assert numbers["study"] == pytest.approx(numbers["A"] + numbers["B"])
    cross = json.loads((reference / "results/cross/study/metrics.json").read_text())["sum"]
    assert cross == pytest.approx(2 * (numbers["A"] ** 2 + numbers["B"] ** 2))


def test_two_workers_give_the_same_bytes_as_one(reference: Path, tmp_path: Path) -> None:
    watch = Watch()
    toy.run(toy.make(tmp_path), "cross", Session(toy.quiet(), watch, workers=2))
    assert outputs(tmp_path) == outputs(reference)
    assert watch.made[0] == ("words", "study")
    assert set(watch.made) == {
        ("words", "study"),
        *((phase, unit) for phase in ("grow", "cross") for unit in ("A", "B", "study")),
    }
    assert sorted(t[2] for t in watch.tasks if t[:2] == ("grow", "A")) == [1, 2, 3, 4]


def test_rows_are_in_plan_order_whatever_order_they_came_in(
    reference: Path, tmp_path: Path
) -> None:
    class Backwards(toy.Inline):
        def run(self, jobs: Sequence[Job], handler: Handler) -> None:
            super().run(jobs[::-1], handler)

    with mock.patch.object(toy, "Inline", Backwards):
        toy.run(toy.make(tmp_path), "cross")
    assert outputs(tmp_path) == outputs(reference)


def test_complete_units_are_skipped_and_said_so(
    reference: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    console = toy.quiet()
    toy.run(Workspace(reference, "tests.support.toy_phases", toy.NAMES), "grow", Session(console))
    assert not (tmp_path / "log").exists()
    assert console.stream.getvalue().count("complete") == 3  # type: ignore[attr-defined]


def test_other_values_never_touch_canonical_results(reference: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in reference.rglob("*") if "results" in p.parts}
    workspace = Workspace(reference, "tests.support.toy_phases", toy.NAMES)
    results = toy.run(workspace, "cross", cross__power=3)
    assert all(r.folder == workspace.runs / r.fingerprint for r in results)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    upstream = toy.run(workspace, "cross", words__count=2)  # another value upstream
    assert all(r.folder == workspace.runs / r.fingerprint for r in upstream)
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert (reference / "data/words.txt").read_text() == "word0\nword1\nword2"


# Kills


def test_killed_at_random_moments_it_ends_with_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken, log = tmp_path / "whole", tmp_path / "broken", tmp_path / "log"
    values = {"seconds": 0.15, "tasks": 5, "scale": 1.0}
    toy.run(toy.make(whole, grow=values), "grow")
    toy.make(broken, grow=values)
    monkeypatch.setenv("TOY_LOG", str(log))
    log.touch()
    moments = random.Random(1)
    for _ in range(KILLS):
        begun = len(log.read_text().splitlines())
        process = toy.start(broken, "grow", 2)
        until = begun + moments.randint(1, 4)
        while process.poll() is None and len(log.read_text().splitlines()) < until:
            time.sleep(0.01)
        time.sleep(moments.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
    last = toy.start(broken, "grow", 2)
    output, _ = last.communicate()
    assert last.returncode == 0, output
    assert outputs(broken) == outputs(whole)
    lines = log.read_text().splitlines()
    assert len(set(lines)) == 10
    assert len(lines) <= 10 + 2 * KILLS  # a kill costs at most the task in flight, per worker


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


def test_a_torn_or_altered_journal_line_is_no_task(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", "toy")
    journal.open()
    first = Done("a" * 64, ('{"x":1}',), {}, 0.5, (2048,), 1)
    second = Done("b" * 64, ('{"x":2}',), {}, 0.5, (2048,), 1)
    journal.append(first)
    journal.append(second)
    journal.close()
    body = journal.place.lines.read_bytes()
    assert [read_line(line) for line in body.splitlines()] == [first, second]
    for cut in range(len(first.line()), len(body) - 1, 9):
        journal.place.lines.write_bytes(body[:cut])
        again = Journal(tmp_path / "j", "toy")
        again.open()
        assert again.done == {first.task: first}
        again.close()
        assert again.place.lines.read_bytes() == first.line()
    journal.place.lines.write_bytes(body.replace(b'"x\\":1', b'"x\\":3'))
    again.open()
    assert list(again.done) == [second.task]
    again.close()


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


def test_a_journal_entry_whose_kept_file_changed_is_measured_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", "toy")
    journal.open()
    journal.place.kept.mkdir()
    (journal.place.kept / "k.txt").write_text("kept")
    from hashlib import sha256

    entry = Done("a" * 64, (), {"k.txt": sha256(b"kept").hexdigest()}, 0.1, (), 0)
    journal.append(entry)
    assert journal.missing([entry.task]) == []
    journal.close()
    (journal.place.kept / "k.txt").write_text("changed")
    journal.open()
    assert journal.missing([entry.task]) == [0]
    journal.close()


def test_two_processes_cannot_measure_the_same(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    toy.run(workspace, "words")
    first = toy.start(tmp_path, "grow", 1, grow__seconds=20.0)
    try:
        locks = tmp_path / ".mahals/journal"
        deadline = time.monotonic() + 60
        while len(list(locks.glob("*.lock"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        with pytest.raises(InputError, match=f"process {first.pid} at work"):
            toy.run(workspace, "grow", grow__seconds=20.0)
    finally:
        first.kill()
        first.wait()
    assert len(list(locks.glob("*.lock"))) == 2  # left behind, and no hindrance
    journal = Journal(next(locks.glob("*.lock")).with_suffix(""), "toy")
    journal.open()
    journal.close()


# Failures


@pytest.mark.parametrize(
    ("trouble", "kind", "words"),
    [
        ("input", InputError, "task 2: expected a good task, got a bad one"),
        ("bug", TaskError, "ZeroDivisionError: a bug in task 2"),
        ("death", InputError, "worker process of grow A, task 3 of 4.*SIGKILL"),
    ],
)
def test_a_failing_task_keeps_the_journal_and_can_be_taken_up(
    trouble: str,
    kind: type[Exception],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reference: Path,
) -> None:
    workspace, watch = toy.make(tmp_path), Watch()
    monkeypatch.setenv("TOY_LOG", str(tmp_path / "log"))
    monkeypatch.setenv("TOY_TROUBLE", trouble)
    with pytest.raises(kind, match=words):
        toy.run(workspace, "grow", Session(toy.quiet(), watch, workers=1))
    assert ("grow", "A", kind.__name__) in watch.failures
    assert len(watch.failures) == 2 == len(set(watch.failures))
    assert not (tmp_path / "results/grow/A/run.json").exists()
    monkeypatch.setenv("TOY_TROUBLE", "none")
    toy.run(workspace, "grow")
    log = (tmp_path / "log").read_text().splitlines()
    assert sorted(log) == sorted([f"{u} {i}" for u in "AB" for i in range(4)] + ["A 2"])
    wanted = {k: v for k, v in outputs(reference).items() if "cross" not in k}
    assert outputs(tmp_path) == wanted


def test_two_tasks_may_not_keep_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_TROUBLE", "twice")
    with pytest.raises(ValueError, match=r"same.txt' is kept by two tasks"):
        toy.run(toy.make(tmp_path), "grow")


def test_require_refuses_and_names_the_command(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    with pytest.raises(InputError, match=r"grow A, grow B.*python -m mahals run grow$"):
        toy.run(workspace, "cross", upstream="require")
    with pytest.raises(InputError, match=r"run grow --set seed=3 --set 'models=\[\"A\"\]'$"):
        toy.run(workspace, "cross", upstream="require", seed=3, models=["A"], cross__power=3)
    assert not (tmp_path / "results").exists()


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


# Parts of a study


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


def test_corrupted_results_are_made_again(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    toy.run(workspace, "grow")
    before = outputs(tmp_path)
    (tmp_path / "results/grow/A/kept/values0/0.txt").write_text("nonsense")
    (tmp_path / "results/grow/B/rows.jsonl").write_text("")
    toy.run(workspace, "grow")
    assert outputs(tmp_path) == before


def test_a_limited_run_measures_that_many_tasks_and_is_not_canonical(tmp_path: Path) -> None:
    workspace = toy.make(tmp_path)
    *units, _ = toy.run(workspace, "cross", limit=1)
    assert [len(results.rows()) for results in units] == [1, 1]
    assert not any(results.is_canonical for results in units)
    assert len((tmp_path / "results/grow/A/rows.jsonl").read_text().splitlines()) == 20


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


def test_a_figure_is_the_same_bytes_each_time() -> None:
    from matplotlib.figure import Figure

    def drawn(values: list[float]) -> bytes:
        figure = Figure(figsize=(2, 1))
        figure.add_subplot().plot(values)
        return picture(figure)

    assert drawn([1, 2]) == drawn([1, 2]) != drawn([2, 1])
    assert drawn([1, 2]).startswith(b"\x89PNG")


def test_progress_is_seldom_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from mahals.harness.runner import progress as session

    console = toy.quiet()
    with console.bar("grow", 8, 2) as bar:
        for done in range(2, 8):
            bar.update(float(done), "A steps 1/5")
    assert console.stream.getvalue() == ""  # type: ignore[attr-defined]
    monkeypatch.setattr(session, "QUIET_SECONDS", 0.0)
    with console.bar("grow", 8, 2) as bar:
        time.sleep(0.2)
        bar.update(4.0, "A steps 1/5")
    line = console.stream.getvalue()  # type: ignore[attr-defined]
    assert line.startswith("grow: 4.0 of 8 tasks, ") and "about 0 s left; A steps 1/5" in line
    with console.bar("published", 3, 0, "result") as bar:
        time.sleep(0.2)
        bar.update(1.0, "")
    assert "published: 1.0 of 3 results, " in console.stream.getvalue()  # type: ignore[attr-defined]


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
    }  # fmt: skip
    assert {"python", "torch", "transformers"} <= set(run["versions"])
    assert set(run["kept"]) == {f"values{i}/{part}.txt" for i in range(4) for part in range(5)}


@pytest.mark.parametrize("later", [False, True])
def test_an_observer_sees_the_parts_of_tasks_under_way(tmp_path: Path, later: bool) -> None:
    workspace, watch = toy.make(tmp_path, models=["A"]), Watch()
    observer = Later(lambda: watch) if later else watch
    session = Session(toy.quiet(), observer, workers=1)
    toy.run(workspace, "grow", session, grow__tasks=2, grow__seconds=2.0)
    seen = [done for phase, done, total in watch.shares if (phase, total) == ("grow", 2)]
    assert {0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0} >= {round(d, 1) for d in seen} - {0.0}
    assert len({d for d in seen if 0 < d < 1}) >= 2 and seen[-1] == 2.0
    assert seen == sorted(seen)


@pytest.mark.parametrize("power", [2, 10**9])
def test_a_study_shows_each_phase_once_also_those_before_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, power: int
) -> None:
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "cross"))
    workspace, watch = toy.make(tmp_path, study="toy"), Watch()
    settings = toy.settings_of(workspace, cross__power=power)
    session = Session(toy.quiet(), watch, workers=2)
    gathers = [("grow", "study"), ("cross", "study")]
    if power == 2:
        found = run_study(settings, workspace, session)
        assert [(r.phase, r.unit) for r in found if r.unit == "study"][1:] == gathers
        assert all(is_told(r) for r in found)
    else:
        with pytest.raises(TaskError, match="OverflowError"):  # a number that is too large
            run_study(settings, workspace, session)
        gathers.pop()
    told = [made for made in watch.made if made in [("grow", "study"), ("cross", "study")]]
    assert sorted(told) == sorted(gathers)  # two workers may end them in either order


def three_models(root: Path, **follow: Any) -> Workspace:
    """Three models for two workers, and a phase that reads each model's own results of `grow`."""
    made = toy.make(root, models=["A", "B", "C"], study="toy", follow={"seconds": 0.0, **follow})
    return Workspace(made.root, package="tests.support.toy_phases", names=(*toy.NAMES, "follow"))


ONE_TASK = {"grow__tasks": 1, "grow__seconds": 2.0}


def test_an_idle_worker_measures_ahead_what_the_study_will_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third model keeps one of two workers: the other goes on to the next phase meanwhile."""
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "follow", "cross"))
    workspace, watch = three_models(tmp_path / "study", broken="none"), Watch()
    console = toy.quiet()
    settings = toy.settings_of(workspace, **ONE_TASK)
    found = run_study(settings, workspace, Session(console, watch, workers=2))
    first = min(watch.made.index(("follow", unit)) for unit in ("A", "B"))
    assert first < watch.made.index(("grow", "C"))
    assert len(watch.made) == len(set(watch.made)) == len(found) and not watch.failures
    assert "complete" not in console.stream.getvalue()  # type: ignore[attr-defined]
    alone = three_models(tmp_path / "alone", broken="none")
    toy.run(alone, "follow", Session(toy.quiet(), workers=2), **ONE_TASK)
    toy.run(alone, "cross", Session(toy.quiet(), workers=2), **ONE_TASK)
    assert outputs(alone.root) == outputs(workspace.root)


def test_an_error_ahead_is_the_error_of_its_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The phase before it ends well, its other units too; the study can be taken up again."""
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "follow"))
    workspace, watch = three_models(tmp_path, broken="B"), Watch()
    settings = toy.settings_of(workspace, **ONE_TASK)
    with pytest.raises(TaskError, match="broken on purpose"):
        run_study(settings, workspace, Session(toy.quiet(), watch, workers=2))
    assert {("grow", unit) for unit in ("A", "B", "C", "study")} <= set(watch.made)
    assert ("follow", "B", "TaskError") in watch.failures
    assert not list((tmp_path / ".mahals").rglob("*.lock"))
    mended = toy.settings_of(workspace, **ONE_TASK, follow__broken="none")
    found = run_study(mended, workspace, Session(toy.quiet(), workers=2))
    assert len([r for r in found if r.phase == "follow"]) == 4


def test_an_error_drops_what_is_under_way_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "cross", "follow"))
    workspace, watch = three_models(tmp_path, broken="none", seconds=6.0), Watch()
    settings = toy.settings_of(workspace, **ONE_TASK, cross__power=10**9)
    with pytest.raises(TaskError, match="OverflowError"):
        run_study(settings, workspace, Session(toy.quiet(), watch, workers=2))
    assert ("grow", "study") in watch.made and "follow" not in {name for name, _ in watch.made}
    assert ("follow", "A", "TaskError") in watch.failures
    assert not list((tmp_path / ".mahals").rglob("*.lock"))


def test_what_another_process_measures_is_not_begun_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The phase before is not disturbed; the phase itself refuses, as it would alone."""
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "follow"))
    workspace, watch = three_models(tmp_path, broken="none"), Watch()
    settings = toy.settings_of(workspace, **ONE_TASK)
    real = Journal.open

    def held(journal: Journal) -> None:
        if "follow A" in journal._label:
            raise InputError("journal of follow A", expected="", got="", cure="wait")
        real(journal)

    monkeypatch.setattr(Journal, "open", held)
    with pytest.raises(InputError, match="journal of follow A"):
        run_study(settings, workspace, Session(toy.quiet(), watch, workers=2))
    assert {("grow", unit) for unit in ("A", "B", "C", "study")} <= set(watch.made)
    told = [unit for name, unit, _ in watch.failures if name == "follow"]
    done = [unit for name, unit in watch.made if name == "follow"]
    assert sorted(told + done) == ["A", "B", "C"] and "A" in told


def test_what_is_under_way_ahead_goes_on_in_its_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "follow"))
    workspace, watch = three_models(tmp_path, broken="none", seconds=4.0), Watch()
    settings = toy.settings_of(workspace, **ONE_TASK)
    run_study(settings, workspace, Session(toy.quiet(), watch, workers=2))
    assert watch.made.index(("grow", "C")) < watch.made.index(("follow", "A"))
    assert len(watch.made) == len(set(watch.made)) and len(watch.tasks) == 7


def test_what_another_process_has_just_finished_is_not_measured_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended after nobody found it and before its journal was free."""
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "follow"))
    workspace, watch, other = three_models(tmp_path, broken="none"), Watch(), Watch()
    settings = toy.settings_of(workspace, **ONE_TASK)
    real, taken = Journal.open, []

    def late(journal: Journal) -> None:
        if journal._label == "follow A" and not taken:
            taken.append(journal)
            toy.run(workspace, "follow", Session(toy.quiet(), other, units=("A",)), **ONE_TASK)
        real(journal)

    monkeypatch.setattr(Journal, "open", late)
    found = run_study(settings, workspace, Session(toy.quiet(), watch, workers=2))
    assert other.made == [("follow", "A")] and ("follow", "A") not in watch.made
    assert len(found) == 9 and all(is_told(results) for results in found)
    assert not list((tmp_path / ".mahals").glob("journals/*"))


def test_what_was_measured_ahead_and_then_removed_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STUDIES, "toy", ("words", "grow", "follow"))
    workspace = three_models(tmp_path, broken="none")

    class Remover(Watch):
        def phase_done(self, results: Results) -> None:
            super().phase_done(results)
            this = (results.phase, results.unit)
            if this == ("follow", "A") and self.made.count(this) == 1:
                shutil.rmtree(results.folder)

    watch = Remover()
    settings = toy.settings_of(workspace, **ONE_TASK)
    found = run_study(settings, workspace, Session(toy.quiet(), watch, workers=2))
    assert watch.made.index(("follow", "A")) < watch.made.index(("grow", "C"))
    assert watch.made.count(("follow", "A")) == 2 and len(found) == 9
    assert all(is_told(results) for results in found)


def test_an_observer_that_opens_later_is_told_of_everything() -> None:
    opened: list[Watch] = []

    def opening() -> Watch:
        time.sleep(0.1)
        opened.append(Watch())
        return opened[-1]

    before = threading.active_count()
    later = Later(opening)
    assert threading.active_count() == before  # workers may still be forked
    later.tick()
    later.task_done("words", "A", 1, 2, 0.5)
    later.failed("words", "A", ValueError("x"))
    assert len(opened) == 1
    assert opened[0].tasks == [("words", "A", 1, 2)]
    assert opened[0].failures == [("words", "A", "ValueError")]


def test_an_observer_that_does_not_open_stops_the_run(tmp_path: Path) -> None:
    def refused() -> Watch:
        raise InputError("database", expected="one", got="none", cure="make one")

    workspace = toy.make(tmp_path, models=["A"])
    with pytest.raises(InputError, match="database"):
        toy.run(workspace, "words", Session(toy.quiet(), Later(refused)))
    later = Later(refused)
    later.failed("words", "A", ValueError("x"))  # nobody to tell
    with pytest.raises(InputError, match="database"):
        later.phase_done(None)  # type: ignore[arg-type]
    waiting = Later(refused)
    with pytest.raises(InputError, match="database"):
        for _ in range(100):  # a tick says so, long before the first task is done
            waiting.tick()
            time.sleep(0.05)
