"""What do a row, a run and the leaderboard cost beside the measuring itself?"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any

from benchmarks.speed import setting
from benchmarks.speed.timing import Bar, Page, absent, of_values

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests"))

from mlflow.entities import Metric, Param, Run  # noqa: E402

import synthetic_results as synthetic  # noqa: E402
import test_browser as browser  # noqa: E402
import toy_study as toy  # noqa: E402
from mahals.leaderboard import view_url  # noqa: E402
from mahals.leaderboard.board import Board  # noqa: E402
from mahals.leaderboard.view import EXPERIMENT  # noqa: E402
from mahals.tracking import Store  # noqa: E402
from mahals.tracking.runs import publish  # noqa: E402
from mahals.tracking.store import FINGERPRINT  # noqa: E402
from mahals.workspace import Results  # noqa: E402

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
        runs = 3 if options.tiny else RUNS
        found = _runs(store, 0, runs)
        began = time.perf_counter()
        browser.publish(lines, store)
        again = time.perf_counter() - began
        what = f"all {lines} lines again, nothing changed"
        page.lines.append(of_values("leaderboard", what, [again], ("s", None)))
        found += _runs(store, 1, runs)
        _view(page, store, board, options.rounds)
        found += _runs(store, 2, runs)
        _published(page, found, lines)
    return page


def _rows(page: Page, options: setting.Options) -> None:
    """The cost of a row is the slope between a short and a long unit; one task is one fsync."""
    few, many = (4, 20) if options.tiny else (20, 220)
    beside, whole = [], []
    for _ in range(options.rounds):
        short, long = _toy(few), _toy(many)
        each = [
            1000 * (b - a) / (ROWS_A_TASK * (many - few)) for a, b in zip(short, long, strict=True)
        ]
        whole.append(each[0])
        beside.append(each[0] - each[1])
    group = f"runner and journal, tasks of {ROWS_A_TASK} rows that keep a folder of as many files"
    page.lines.append(of_values(group, "a row, beside the tasks' own seconds", beside, ("ms", ROW)))
    page.lines.append(of_values(group, "a row, with the toy tasks", whole, ("ms", None)))
    synced = [1000 * _sync() for _ in range(SYNCS)]
    page.lines.append(of_values(group, "a small file written and synced", synced, ("ms", None)))
    page.notes.append(
        "A row's cost is the disk's: each task opens some thirty files, syncs a journal line and "
        "removes its scratch folder; kept files are synced together when the unit ends."
    )


def _sync() -> float:
    """Seconds until a file of a few bytes is on this disk."""
    with NamedTemporaryFile() as file:
        began = time.perf_counter()
        file.write(b"a row")
        file.flush()
        os.fsync(file.fileno())
        return time.perf_counter() - began


def _toy(tasks: int) -> tuple[float, float]:
    """Seconds of a unit of the toy phase, and those that its tasks took by themselves."""
    with TemporaryDirectory() as folder:
        workspace = toy.make(Path(folder), models=["A"])
        toy.run(workspace, "words")
        began = time.perf_counter()
        found = toy.run(workspace, "grow", grow__tasks=tasks)
        ended = time.perf_counter()
        own = next(each for each in found if each.unit == "A").run()["seconds"]["total"]
        return ended - began, float(own)


def _runs(store: Store, part: int, runs: int) -> list[tuple[float, float]]:
    """Milliseconds of publishing a unit, and of MLflow's own calls for the same run, in turn."""
    found = []
    with TemporaryDirectory() as folder:
        place = synthetic.workspace(Path(folder))
        for i in range(part * runs, (part + 1) * runs):
            metrics = {f"m{k}": float(i + k) for k in range(20)}
            made = synthetic.Made(canonical=False, metrics=metrics)
            results = synthetic.write_results(place, made)
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
    client.set_terminated(run.info.run_id, "FINISHED", ended)
    return time.perf_counter() - began


def _published(page: Page, found: Sequence[tuple[float, float]], lines: int) -> None:
    group = f"publish, with {lines} runs there"
    ours, ratios = [a for a, _ in found], [a / b for a, b in found]
    what = "a run of 20 metrics and a figure"
    page.lines.append(of_values(group, what, ours, ("ms", RUN)))
    what = "over MLflow's own calls: create, log_artifacts, log_batch, set_terminated"
    page.lines.append(of_values(group, what, ratios, ("x", None)))
    page.notes.append(
        "Runs are published in three parts, minutes apart: it is processor time in MLflow's "
        "sessions, and the processor's speed wavers."
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
