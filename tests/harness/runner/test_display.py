"""Display: are bars in a terminal as wide, one for each worker, and gone at the end?"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mahals.harness.runner.progress import Console, Steps
from tests.support import toy_study
from tests.support.places import ROOT
from tests.support.terminal import Terminal, seen


def test_the_terminal_of_these_tests_wipes_and_goes_up() -> None:
    assert seen("a\nbcd\r\x1b[2K\x1b[1A\x1b[2K\x1b[1mnew\x1b[0m\nx") == ["new", "x"]
    assert seen("\x1b[?25labc\rxy") == ["xyc"]


def worked(console: Console, width: int) -> None:
    """Two workers at a phase, one at a later phase, one idle, all with long names."""
    console.at_work(["grow A, task 1 of 4", "grow " + "B" * width, "later A, task 2 of 9", None])
    steps = Steps(None)
    steps.step("reading states of " + "texts " * width, 3, 9)
    console.step("grow A, task 1 of 4", steps)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_bars_fit_the_terminal(
    width: int, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    console = Console(terminal)
    with console.bar("grow", 8, 0) as bar:
        worked(console, width)
        bar.update(2.5)
        console.line("results/" + "a" * width + " of many words " * width)
        console.line("[bold] stays :smile: as it is")
        bar.update(3.5)
    lines = terminal.screen
    assert max(map(len, lines)) <= width
    text = "".join(lines).replace(" ", "")
    assert "results/" + "a" * width in text and text.count("ofmanywords") == width
    assert lines[-2] == "[bold] stays :smile: as it is"
    assert lines[-1].split()[:2] == ["grow", "3.5/8,"]


def test_there_is_a_bar_for_each_worker_and_one_for_all(terminal: Terminal) -> None:
    console = Console(terminal)
    with console.bar("grow", 8, 0) as bar:
        worked(console, 3)
        bar.update(2.5)
        bar.update(1.5)
        first, second, ahead, idle, total = terminal.screen
    assert first.startswith("A, task 1 of 4  ") and " 3/9 reading states" in first
    assert second.startswith("BBB  ") and second.endswith(" 0 s")
    assert ahead.startswith("later A, task 2 of 9  ")
    assert idle.startswith("idle  ")
    assert total.startswith("grow  ") and " 2.5/8, " in total and "left" in total
    assert [line.split()[:2] for line in terminal.screen] == [["grow", "2.5/8,"]]


def test_more_workers_than_lines_leave_the_total_to_be_seen(terminal: Terminal) -> None:
    console = Console(terminal)
    with console.bar("grow", 64, 0) as bar:
        console.at_work([f"grow A, task {i + 1} of 64" for i in range(64)])
        bar.update(2.0)
        screen = terminal.screen
    assert len(screen) <= 12
    assert screen[-2].startswith(f"and {64 - len(screen) + 2} more")
    assert screen[-1].startswith("grow ")


@pytest.mark.parametrize("kind", ["pipe", "dumb"])
def test_without_a_terminal_there_are_plain_lines(
    kind: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb" if kind == "dumb" else "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = terminal if kind == "dumb" else io.StringIO()
    console = Console(stream)
    with console.bar("grow", 8, 0) as bar:
        worked(console, 100)
        bar.update(2.5)
        bar.update(1.5)
        bar.update(3.0, "a note")
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "grow: 2.5 of 8 tasks", "grow: 2.5 of 8 tasks", "grow: 3.0 of 8 tasks"
    ]  # fmt: skip
    assert lines[0].endswith(
        f"; A, task 1 of 4 3/9 reading states of {'texts ' * 100}".rstrip()
        + f"; {'B' * 100}; later A, task 2 of 9"
    )
    assert "; a note; A, task 1" in lines[-1]
    assert "\x1b" not in stream.getvalue()


def test_a_real_run_in_a_terminal(tmp_path: Path) -> None:
    """Worker processes and all, in a pseudo terminal of 60 columns: every picture, and the last."""
    toy_study.make(tmp_path)
    words = [str(tmp_path), "grow", "2", '{"grow__seconds": 1.6}']
    done = subprocess.run(
        [sys.executable, "-c", IN_A_TERMINAL, "-m", "tests.support.toy_study", *words],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "60",
            "LINES": "20",
            "TERM": "xterm",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    told = done.stdout.decode().replace("\r\n", "\n")
    pictures = [seen(told[: match.start()]) for match in re.finditer(r"\r\x1b\[2K", told)]
    last = seen(told)
    assert all(len(line) <= 60 for picture in [*pictures, last] for line in picture)
    totals = [p[-1] for p in pictures if p[-1].startswith("grow  ")]
    shares = [float(line.split()[1].split("/")[0]) for line in totals]
    assert len(set(shares)) > 4 and shares == sorted(shares)
    assert any(re.match(r"[AB], task \d of 4 +\d/5 steps", p[-2]) for p in pictures if len(p) > 1)
    text = "\n".join(last)
    assert "grow A: 4 tasks" in text and "grow gather: 2 units" in text
    assert [line for line in last if "/5 steps" in line or line.startswith("idle")] == []
    assert len([line for line in last if line.startswith("grow  ") and " 8/8, " in line]) == 1


IN_A_TERMINAL = """
import os, pty, sys
read = lambda fd: os.read(fd, 65536)
sys.exit(os.waitstatus_to_exitcode(pty.spawn([sys.executable, *sys.argv[1:]], read)))
"""
