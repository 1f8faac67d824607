"""Commands that show: what do `publish`, `leaderboard`, `export`, `models` and their like do?"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from mahals.records import InputError

if TYPE_CHECKING:
    from mahals.harness.leaderboard.ranking import Board
    from mahals.harness.runner.progress import Bar
    from mahals.harness.tracking.database import Store
    from mahals.harness.tracking.runs import Published
    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.results import Results

Keys = Mapping[str, Any]
WHERE_RESULTS_COME_FROM = "run `mahals study`, or `dvc pull` results that are stored"

TICK = 0.3  # seconds between two looks at what is waited for


def publish(options: Namespace, keys: Keys) -> int:
    """Shows every stored result in MLflow; computes nothing. LEADERBOARD.md is written where there
    are lines for it, of the values of params.yaml alone; one that is there is never emptied."""
    from mahals.harness.manifests.dvc_stages import BOARD
    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.results import all_results

    workspace = Workspace.locate()
    results = all_results(workspace)
    if not results:
        raise InputError(
            "stored results", expected="those of a study", got="none", cure=WHERE_RESULTS_COME_FROM
        )
    store = open_store(workspace)
    made = publish_results(results, store).made
    boards = publish_boards(results, store)
    lines = sum(len(board.lines) for board in boards)
    print(f"{len(results)} results in {store.uri}, {made} of them new; {lines} leaderboard lines")
    canonical = [each for each in results if each.is_canonical]
    there = (workspace.root / BOARD).is_file()
    if any(each.summary().entries for each in canonical) or (canonical and not there):
        print(f"wrote {write_page(workspace)}")
    return 0


def leaderboard(options: Namespace, keys: Keys) -> int:
    """Prints every board and the command and URL that open it."""
    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.results import all_results

    workspace = Workspace.locate()
    store = open_store(workspace)
    boards = publish_boards(all_results(workspace), store)
    if not boards:
        raise InputError(
            "leaderboard",
            expected="results of a phase that steers",
            got="none",
            cure=WHERE_RESULTS_COME_FROM,
        )
    print(board_text(boards, store, top=options.top, port=options.port))
    return 0


class Meter:
    """The runner's bar for what is no phase; it opens when first told how far something is.

    Where there is no terminal, one line at the end says what took more than two seconds.
    """

    def __init__(self, label: str, unit: str = "task") -> None:
        from mahals.harness.runner.progress import Console

        self._console, self._label, self._stack = Console(), label, ExitStack()
        self._bar: Bar | None = None
        self._began, self._total, self._unit = 0.0, 0, unit

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, kind: object, *details: object) -> None:
        from mahals.harness.runner.progress import SHOW_AFTER, duration

        if self._bar is not None and kind is None:
            seconds = time.monotonic() - self._began
            if self._console.live:
                self._bar.update(self._total)
            elif seconds >= SHOW_AFTER:
                many = f"{self._total} in " if self._total > 1 else ""
                self._console.line(f"{self._label}: {many}{duration(seconds)}")
        self._stack.close()

    def count(self, done: int, total: int) -> None:
        """`done` of `total` are there."""
        self._opened(done, total).update(done)

    def wait(self) -> None:
        """It is not there yet, and how much of it is cannot be known."""
        bar = self._opened(0, None)
        bar.update(0.0, f"{time.monotonic() - self._began:.0f} s so far")

    def _opened(self, done: int, total: int | None) -> Bar:
        if self._bar is None:
            self._began, self._total = time.monotonic(), total or 0
            self._bar = self._stack.enter_context(
                self._console.bar(self._label, total, done, self._unit)
            )
        return self._bar


def open_store(workspace: Workspace) -> Store:
    """The tracking database, opened on a thread: to make its tables takes seconds."""
    from mahals.harness.tracking.database import ensure_database

    pool = ThreadPoolExecutor(1)
    opening = pool.submit(ensure_database, workspace.root)
    pool.shutdown(wait=False)
    with Meter("MLflow's database") as meter:
        while wait([opening], TICK).not_done:
            meter.wait()
        return opening.result()


def publish_results(
    results: Sequence[Results], store: Store, parent: str | None = None
) -> Published:
    """Results as MLflow runs, new ones as children of the run `parent`, with a bar."""
    from mahals.harness.tracking.runs import publish

    with Meter("results to MLflow", "result") as meter:
        return publish(results, store, meter.count, parent)


def publish_boards(results: Sequence[Results], store: Store) -> Sequence[Board]:
    """Every board of all `results` as MLflow runs, with a bar."""
    from mahals.harness.leaderboard.collect import collect, publish_leaderboard

    with Meter("leaderboard lines to MLflow", "line") as meter:
        return publish_leaderboard(collect(results), store, meter.count)


def board_text(boards: Sequence[Board], store: Store, *, top: int, port: int) -> str:
    """Boards as tables, each with the command and the URL that open it, ranked."""
    from mahals.harness.leaderboard.render import terminal_table
    from mahals.harness.leaderboard.saved_view import view_url

    parts = []
    for board in boards:
        address = view_url(board, store, port)
        opened = [f"  {address.command}", f"  {address.url}"][address.command is None :]
        parts += ["", terminal_table(board, top), "", "Open the leaderboard:", *opened]
    return "\n".join(parts)


def write_page(workspace: Workspace) -> str:
    """Writes benchmarks/LEADERBOARD.md from canonical results alone; its path from the root."""
    from mahals.harness.leaderboard.collect import collect
    from mahals.harness.leaderboard.ranking import boards
    from mahals.harness.leaderboard.render import write_markdown
    from mahals.harness.manifests.dvc_stages import BOARD
    from mahals.harness.workspace.results import all_results

    collected = collect([each for each in all_results(workspace) if each.is_canonical])
    write_markdown(boards(collected.entries), collected.origins, workspace.root / BOARD)
    return BOARD


def export(options: Namespace, keys: Keys) -> int:
    """Writes a steering vector as a plain state dict, or the trials of PHASE/MODEL as JSON."""
    from mahals.phases.registry import PHASES

    phase, _, unit = options.vector.partition("/")
    if phase in PHASES and unit:
        from mahals.cli.trials import export_trials

        return export_trials(phase, unit, options.out)
    from mahals.harness.tracking.registered_vectors import load_vector
    from mahals.harness.tracking.vector_files import export_pth

    vector = load_vector(options.vector)
    place = export_pth(vector, options.out)
    held = ", ".join(f"{name} {tuple(each.shape)}" for name, each in vector.tensors.items())
    print(f"wrote {place}: {held}; row l of values belongs to decoder block l")
    return 0


def manifests(options: Namespace, keys: Keys) -> int:
    """Writes the generated files, or with --check says what is stale or missing (exit code 1)."""
    from mahals.harness.manifests.completeness import gaps
    from mahals.harness.manifests.generate import stale, write
    from mahals.harness.manifests.sources import read_sources
    from mahals.harness.workspace.paths import Workspace

    sources = read_sources(Workspace.locate())
    missing = gaps(sources)
    if options.check:
        said = [f"{name} is not up to date: run `mahals manifests`" for name in stale(sources)]
        failed = bool(said or missing)
    else:
        said = [f"wrote {name}" for name in write(sources)]
        failed = bool(missing)
    print("\n".join([*said, *missing]) or "all up to date")
    return int(failed)


def cache(options: Namespace, keys: Keys) -> int:
    """Prints the sizes of the folders under .mahals; with --prune empties them."""
    from mahals.cli.tables import cache_table, checkpoint_line, state_folders
    from mahals.harness.workspace.files import remove
    from mahals.harness.workspace.paths import Workspace

    workspace = Workspace.locate()
    if options.prune:
        _refuse_while_running(workspace)
        for folder in state_folders(workspace):
            remove(folder)
    print(cache_table(workspace))
    if workspace.checkpoints.is_dir():
        print(checkpoint_line(workspace))
    return 0


def _refuse_while_running(workspace: Workspace) -> None:
    """Raises InputError when a process holds a journal."""
    import fcntl

    for path in sorted(workspace.journals.glob("*.lock")):
        with path.open("r+", encoding="utf-8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(
                    "cache",
                    expected="no run under way",
                    got=f"process {handle.read().strip()} at work",
                    cure="wait until it ends, or stop it",
                ) from error
