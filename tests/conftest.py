"""What do tests share: one small study, made once for all of them, and a place for findings."""

from __future__ import annotations

import fcntl
import gc
import os
from pathlib import Path

from mahals.kernels import PINNED

# Before torch is imported: two workers of one thread each are faster than two of two.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.update(PINNED)  # organisms trained here are those of every CPU

import pytest

from tests.support.small_study import SmallStudy, read_study, run_study

gc.disable()  # until everything is imported: what modules make stays


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> SmallStudy:
    """The smoke study: two organisms trained, all phases measured, once for all test processes.

    With MAHALS_TEST_STUDY=<folder> the study is made there and found there the next time: for
    work on tests. Delete the folder when the code of the study changes.
    """
    given = os.environ.get("MAHALS_TEST_STUDY")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    root = Path(given) if given else shared / "small-study"
    root.parent.mkdir(parents=True, exist_ok=True)
    with open(root.with_name(f"{root.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (root / ".mahals/printed.txt").is_file():
            return read_study(root)
        return run_study(root)


TESTS = Path(__file__).parent
IDLE = (
    "harness/engines",
    "harness/runner",
    "maths/games/test_solvers.py",
    "models/judges/test_server.py",
)
"""Files and folders whose tests mostly wait for other processes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker makes the study at once, which takes all cores: meanwhile come the tests that
    wait for processes of their own. Other tests that need the study come when it is there.
    """

    def place(item: pytest.Item) -> int:
        where = item.path.relative_to(TESTS).as_posix()
        if where == "project/test_study.py":
            return 0
        if where.startswith(IDLE):
            return 1
        return 3 if "study" in getattr(item, "fixturenames", ()) else 2

    items.sort(key=place)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported is walked by no collection of the tests'."""
    gc.freeze()
    gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests found and do not assert: one line for each `record_property(title, line)`, under
    its title, at the end of the run. Properties come from xdist's workers; what is printed does
    not. A run in which no test records anything ends as ever.
    """
    found: dict[str, list[str]] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for title, line in report.user_properties:
                found.setdefault(title, []).append(line)
    for title, lines in found.items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.line(line)
