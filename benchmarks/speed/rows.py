"""Rows: what do a row, a run and the leaderboard cost beside the measuring itself?"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any

from mlflow.entities import Metric, Param, Run

from benchmarks.speed import setting
from benchmarks.speed.timing import Bar, Page, absent, of_values
from mahals.harness.leaderboard.ranking import Board
from mahals.harness.leaderboard.saved_view import EXPERIMENT, view_url
from mahals.harness.tracking.database import FINGERPRINT, Store
from mahals.harness.tracking.runs import publish
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from tests.support import browser
from tests.support import synthetic_results as synthetic
from tests.support import toy_study as toy

ROW, RUN, VIEW = Bar("<=", 2, "ms"), Bar("<=", 50, "ms"), Bar("<=", 5, "s")
ROWS_A_TASK = 5  # of the toy phase
LINES, RUNS, SYNCS = 1000, 20, 60


def measure(options: setting.Options) -> Page:
    """Milliseconds a row and a run, and seconds until the view's lines are there."""
    page = Page("rows", str(__doc__), setting.machine())
    _rows(page, options)
    lines = 40 if options.tiny else LINES
    with TemporaryDirectory() as folder:
        store = synthetic.empty_store(Path(folder))
        began = time.perf_counter()
        board = browser.publish(lines, store)
        each = 1000 * (time.perf_counter() - began) / lines
        page.lines.append(of_values("leaderboard", "a line written", [each], ("ms", None)))
        place, runs = synthetic.workspace(Path(folder)), 3 if options.tiny else RUNS
        began = time.perf_counter()
        publish([_results(place, i) for i in range(lines)], store)
        each = 1000 * (time.perf_counter() - began) / lines
        what = f"{lines} units at once, each"
        page.lines.append(
            of_values(f"publish, with {lines} runs there", what, [each], ("ms", None))
        )
        parts = [range(lines + k * runs, lines + (k + 1) * runs) for k in range(3)]
        found = _runs(store, place, parts[0])
        began = time.perf_counter()
        browser.publish(lines, store)
        again = time.perf_counter() - began
        what = f"all {lines} lines again, nothing changed"
        page.lines.append(of_values("leaderboard", what, [again], ("s", None)))
        found += _runs(store, place, parts[1])
        _view(page, store, board, options.rounds)
        found += _runs(store, place, parts[2])
        _published(page, found, lines)
    return page


def _rows(page: Page, options: setting.Options) -> None:
    """The cost of a row is the slope between a short and a long unit; one task is one fsync."""
    few, many = (4, 20) if options.tiny else (20, 220)
    beside, whole = [], []
    for _ in range(options.rounds):
        each = 1000 * (_toy(many) - _toy(few)) / (ROWS_A_TASK * (many - few))
        whole.append(each)
        beside.append(each - 1000 * _files(many) / (ROWS_A_TASK * many))
    group = f"runner and journal, tasks of {ROWS_A_TASK} rows that keep a folder of as many files"
    page.lines.append(of_values(group, "a row", whole, ("ms", ROW)))
    what = "a row, beside the files that the toy tasks write"
    page.lines.append(of_values(group, what, beside, ("ms", None)))
    synced = [1000 * _sync() for _ in range(SYNCS)]
    page.lines.append(of_values(group, "a small file written and synced", synced, ("ms", None)))
    page.notes.append(
        "A row's cost is the disk's: each task opens some thirty files, syncs a journal line and "
        "removes its scratch folder; kept files are synced together when the unit ends. What is "
        "taken off is the time of the same files written without a runner."
    )


def _files(tasks: int) -> float:
    """Seconds of the files that toy tasks write, their steps and what they keep, and no more."""
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        for task in range(tasks):
            place = Path(folder) / str(task)
            (place / "values").mkdir(parents=True)
            for step in range(ROWS_A_TASK):
                draft = place / "steps.tmp"
                draft.write_text(json.dumps({"at": step + 1}))
                draft.replace(place / "steps.json")
            for part in range(ROWS_A_TASK):
                (place / "values" / f"{part}.txt").write_text(f"{part / 7!r} word\n")
        return time.perf_counter() - began


def _sync() -> float:
    """Seconds until a file of a few bytes is on this disk."""
    with NamedTemporaryFile() as file:
        began = time.perf_counter()
        file.write(b"a row")
        file.flush()
        os.fsync(file.fileno())
        return time.perf_counter() - began


def _toy(tasks: int) -> float:
    """Seconds of a unit of the toy phase."""
    with TemporaryDirectory() as folder:
        workspace = toy.make(Path(folder), models=["A"])
        toy.run(workspace, "words")
        began = time.perf_counter()
        toy.run(workspace, "grow", grow__tasks=tasks)
        return time.perf_counter() - began


def _results(place: Workspace, number: int) -> Results:
    """A finished unit of 20 metrics, a figure and two files that it was made from."""
    values = Path(place.results) / "organisms" / "Mistral_7B" / "run.json"
    if not values.is_file():
        upstream = synthetic.Made(phase="organisms", kept={"base/model": b"weights"})
        synthetic.write_results(place, upstream)
    content = json.loads(values.read_text())["content"]
    made = synthetic.Made(
        canonical=False,
        metrics={f"m{k}": float(number + k) for k in range(20)},
        inputs={"upstream": {"organisms/Mistral_7B": content}, "data": {"params.yaml": ""}},
    )
    return synthetic.write_results(place, made)


def _runs(store: Store, place: Workspace, numbers: Sequence[int]) -> list[tuple[float, float]]:
    """Milliseconds of publishing a unit, and of MLflow's own calls for the same run, in turn."""
    found = []
    for number in numbers:
        results = _results(place, number)
        began = time.perf_counter()
        done = publish([results], store)
        ours = time.perf_counter() - began
        (run,) = done.runs.values()
        found.append((1000 * ours, 1000 * _calls(store, store.client.get_run(run), results)))
    return found


def _calls(store: Store, made: Run, results: Results) -> float:
    """Seconds of the calls without which no such run is in MLflow."""
    data, ended = made.data, made.info.end_time
    metrics = [Metric(name, value, ended, 0) for name, value in data.metrics.items()]
    params = [Param(name, value) for name, value in data.params.items()]
    tags = {**data.tags, FINGERPRINT: "another's"}
    client = store.client
    began = time.perf_counter()
    run = client.create_run(made.info.experiment_id, made.info.start_time, tags)
    client.log_artifacts(run.info.run_id, str(results.folder / "figures"), "figures")
    client.log_batch(run.info.run_id, metrics, params, synchronous=True)
    client.log_inputs(run.info.run_id, made.inputs.dataset_inputs)
    client.set_terminated(run.info.run_id, "FINISHED", ended)
    return time.perf_counter() - began


def _published(page: Page, found: Sequence[tuple[float, float]], lines: int) -> None:
    group = f"publish, with {lines} runs there"
    ours, ratios = [a for a, _ in found], [a / b for a, b in found]
    what = "a run of 20 metrics, a figure and two input files"
    page.lines.append(of_values(group, what, ours, ("ms", RUN)))
    what = "over MLflow's own five calls for such a run"
    page.lines.append(of_values(group, what, ratios, ("x", None)))
    page.notes.append(
        f"Runs are published in three parts, minutes apart, into the experiment that holds {lines} "
        "units: it is processor time in MLflow's sessions, and the processor's speed wavers. "
        "MLflow's own calls: create_run, log_artifacts, log_batch, log_inputs, set_terminated."
    )


def _view(page: Page, store: Store, board: Board, rounds: int) -> None:
    """How soon the server answers what the page asks, and the page shows its first line."""
    address = view_url(board, store, browser.free_port())
    asked = {
        "experiment_ids": [store.experiment(EXPERIMENT)],
        "filter": f'params.weights = "{board.weights}" and params.suite = "{board.suite}"',
        "order_by": ["metrics.`position` ASC"],
        "run_view_type": "ACTIVE_ONLY",
        "max_results": len(board.lines),
    }
    group = f"leaderboard view of {len(board.lines)} configurations"
    with TemporaryDirectory() as folder, browser.served(address, Path(folder)):
        root = address.url.partition("/#")[0]
        _ask(root, asked)
        answers = [_ask(root, asked) for _ in range(rounds)]
        page.lines.append(of_values(group, "all lines from the server", answers, ("s", VIEW)))
        if not Path(browser.CHROMIUM).is_file():
            page.lines.append(absent(group, "first line in a browser", "no Chromium here"))
            return
        with browser.page_of(1920) as window:
            browser.opened(window, address)  # the server's and the browser's first time
            opened = [browser.opened(window, address) for _ in range(rounds)]
        page.lines.append(of_values(group, "first line in a browser", opened, ("s", VIEW)))


def _ask(root: str, body: dict[str, Any]) -> float:
    request = urllib.request.Request(
        f"{root}/ajax-api/2.0/mlflow/runs/search",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    began = time.perf_counter()
    with urllib.request.urlopen(request, timeout=120) as reply:
        found = json.loads(reply.read())
    seconds = time.perf_counter() - began
    if len(found["runs"]) != body["max_results"]:
        raise RuntimeError(f"{len(found['runs'])} runs instead of {body['max_results']}")
    return seconds


if __name__ == "__main__":
    chosen = setting.options(__doc__)
    measure(chosen).write(chosen.out)
