"""Is what tests record told at the end of a run, and nothing else?"""

from __future__ import annotations

import inspect
import io
import sys
from pathlib import Path

import pytest

from tests.conftest import pytest_terminal_summary
from tests.support.light_repository import environment, run

RECORDING = """
import pytest

@pytest.mark.parametrize("key", "ab")
def test_recording(key, record_property):
    record_property("gains by key", f"{key}: +1.0")
    assert key == "a"
"""


def test_what_tests_record_is_told_at_the_end_from_other_processes_too(tmp_path: Path) -> None:
    hook = inspect.getsource(pytest_terminal_summary)  # alone: quick to import
    (tmp_path / "conftest.py").write_text(f"import pytest\n\n{hook}", encoding="utf-8")
    (tmp_path / "test_some.py").write_text(RECORDING, encoding="utf-8")
    env = environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS="")
    words = (sys.executable, "-m", "pytest", "-p", "xdist", "-n", "2", "-q", "--tb=no")
    said = run(tmp_path, *words, env=env, code=1).stdout.splitlines()
    (title,) = (at for at, line in enumerate(said) if "= gains by key =" in line)
    assert said[title + 1 : title + 3] == ["a: +1.0", "b: +1.0"]  # once each, of a failed test too
    assert sum(": +1.0" in line for line in said) == 2


def test_nothing_is_told_where_no_test_records(pytestconfig: pytest.Config) -> None:
    said = io.StringIO()
    reporter = pytest.TerminalReporter(pytestconfig, said)
    place = ("test_some.py", 0, "test_silent")
    reporter.stats["passed"] = [pytest.TestReport("silent", place, {}, "passed", None, "call")]
    pytest_terminal_summary(reporter)
    assert said.getvalue() == ""
