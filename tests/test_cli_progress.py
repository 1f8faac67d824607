"""Is whatever takes more than two seconds after the measuring seen to go on?"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahals.cli import run as measuring
from mahals.cli import show as showing
from mahals.harness.engines.pool import Job
from mahals.harness.manifests import dvc_commit, dvc_stages, sources
from mahals.harness.runner import progress as session
from mahals.harness.runner.batch import PhaseBatch
from mahals.harness.runner.journal import Done
from mahals.harness.runner.progress import Console, Session, Silent, Steps
from mahals.harness.tracking import database, runs
from mahals.harness.tracking.database import Store
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.records import InputError
from tests.support import toy_study
from tests.support.places import ROOT
from tests.support.synthetic_results import MODELS, Made, entry, steered, workspace, write_results


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Results]:
    """Two stored results with a leaderboard line each; the current folder is theirs."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / dvc_stages.BOARD).parent.mkdir()
    place = workspace(tmp_path)
    monkeypatch.chdir(tmp_path)
    return [
        write_results(place, Made(unit=unit, entries=[entry(steered(unit), 6.0)]))
        for unit in MODELS[:2]
    ]


@pytest.fixture
def told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is taken to be long."""
    monkeypatch.setattr(session, "SHOW_AFTER", 0.0)
    monkeypatch.setattr(session, "QUIET_SECONDS", 0.0)


class Terminal(io.StringIO):
    """What a terminal was told."""

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        """What a person sees, from the first line on."""
        return seen(self.getvalue())


def seen(told: str) -> list[str]:
    """The lines of a terminal that was told this: a cursor that goes up, lines that are wiped."""
    lines, at, column = [""], 0, 0
    for code, up, text in re.findall(r"(\x1b\[(\d*)[?\d;]*[A-Za-z])|([^\x1b])", told):
        if code.endswith("A"):
            at -= int(up or 1)
        elif code.endswith("K"):
            lines[at] = ""
        elif text == "\r":
            column = 0
        elif text == "\n":
            at, column = at + 1, 0
            lines += [""] * (at + 1 - len(lines))
        elif text:
            lines[at] = lines[at][:column].ljust(column) + text + lines[at][column + 1 :]
            column += 1
    return "\n".join(line.rstrip() for line in lines).rstrip("\n").split("\n")


def test_the_terminal_of_these_tests_wipes_and_goes_up() -> None:
    assert seen("a\nbcd\r\x1b[2K\x1b[1A\x1b[2K\x1b[1mnew\x1b[0m\nx") == ["new", "x"]
    assert seen("\x1b[?25labc\rxy") == ["xyc"]


@pytest.fixture
def terminal(told_at_once: None, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 60 columns and 12 lines."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "12")
    return Terminal()


PUBLISHING = ("MLflow's database", "results to MLflow", "leaderboard lines to MLflow")


@pytest.mark.parametrize("command", ["publish", "leaderboard"])
def test_publishing_is_told_in_a_log(
    command: str, results: list[Results], told_at_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert getattr(showing, command)(Namespace(top=5, port=5000), {}) == 0
    lines = capsys.readouterr().err.splitlines()
    database, runs, board = ([x for x in lines if x.startswith(n)] for n in PUBLISHING)
    assert "MLflow's database: 0 s so far" in database
    assert len(board) == 4 and board[-1] == "leaderboard lines to MLflow: 2 in 0 s"
    assert "leaderboard lines to MLflow: 1.0 of 2 lines, " in board[1]
    assert " a minute, about " in board[1] and board[1].endswith(" left")
    assert len(runs) == (4 if command == "publish" else 0)


def test_what_is_short_is_not_told(
    results: list[Results], capsys: pytest.CaptureFixture[str]
) -> None:
    with showing.Meter("something") as meter:
        meter.wait()
    with showing.Meter("something else") as meter:
        meter.count(0, 2)
        meter.count(2, 2)
    with showing.Meter("nothing"):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("known", [True, False])
def test_on_a_terminal_it_is_a_bar(
    known: bool, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", terminal)
    with showing.Meter("something") as meter:
        for done in range(3):
            meter.count(done, 4) if known else meter.wait()
            line = terminal.screen[-1]
            assert line.startswith("something  ") and line.endswith(" 0 s")
            assert f" {done}/4, " in line if known else " 0 s so far " in line
    assert ("4/4" in terminal.screen[0]) == known


def test_what_is_cut_short_is_not_told_as_done(
    told_at_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError), showing.Meter("something") as meter:
        meter.count(1, 2)
        raise InputError("a", expected="b", got="c", cure="d")
    assert " in 0 s" not in capsys.readouterr().err


def test_the_end_of_a_study_is_seen(
    results: list[Results],
    told_at_once: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Units to MLflow, the board to MLflow, and then DVC, which is not ready."""

    @contextmanager
    def committing(sources: object, tick: Callable[[], None]) -> Iterator[None]:
        yield
        tick()

    def work(session: Session) -> list[Results]:
        return results

    def show(made: list[Results], store: Store | None) -> None:
        assert store is not None and made == results
        measuring._publish_boards(Workspace.locate(), store)

    monkeypatch.setattr(dvc_commit, "committing", committing)
    monkeypatch.setattr(sources, "read_sources", lambda workspace: None)
    measuring._measure(Workspace.locate(), 1, None, work, show)
    told = capsys.readouterr().err.splitlines()
    assert told.index("results to MLflow: 2 in 0 s") < told.index(
        "leaderboard lines to MLflow: 2 in 0 s"
    )
    assert told[-2] == "DVC takes the results: 0 s so far"
    assert told[-1] == "DVC takes the results: 0 s"
    assert runs.publish(results, database.ensure_database(Path.cwd())).made == 0


STAGES = (("base", 400, 1000), ("sft", 1, 60), ("sft", 60, 60), ("dpo", 25, 50), ("sham", 0, 50))
BY_HAND = {None: (0.2, 0.5 + 0.25 / 60, 0.75, 0.8125, 0.875), 4: (0.1, 0.254, 0.5, 0.625, 0.75)}


@pytest.mark.parametrize("stages", BY_HAND)
def test_a_stage_goes_on_where_the_one_before_it_stood(stages: int | None) -> None:
    steps, shares = Steps(stages), []
    for stage in STAGES:
        steps.step(*stage)
        shares.append(steps.share)
    assert shares == pytest.approx(BY_HAND[stages], abs=1e-3)
    assert (steps.ended, steps.words) == (3, "0/50 sham")


@given(
    st.lists(st.tuples(st.text(max_size=2), st.integers(0, 9), st.integers(0, 9)), min_size=1),
    st.none() | st.integers(1, 5),
)
def test_steps_never_go_back(told: list[tuple[str, int, int]], stages: int | None) -> None:
    steps, shares = Steps(stages), [0.0]
    for step in told:
        steps.step(*step)
        shares.append(steps.share)
    assert shares == sorted(shares) and shares[-1] <= 1


class Told(Silent):
    """How far a phase was said to be."""

    def __init__(self) -> None:
        self.done: list[float] = []

    def under_way(self, phase: str, done: float, total: int) -> None:
        self.done.append(done)


def test_a_phase_of_stages_never_goes_back(terminal: Terminal) -> None:
    """Two organisms one after the other, as their training tells its stages."""
    told, console = Told(), Console(terminal)
    batch, done = PhaseBatch(Session(console, told)), set[str]()
    order = ("1", "2")
    journal = SimpleNamespace(
        missing=lambda order: [task for task in order if task not in done],
        append=lambda entry: done.add(entry.task),
    )
    place = SimpleNamespace(phase="organisms", unit="A")
    batch.works["A"] = SimpleNamespace(  # type: ignore[assignment]
        order=order, journal=journal, place=place, last=lambda: None
    )
    bars = []
    with console.bar("organisms", 2, 0) as bar:
        batch.bar = bar
        for task in order:
            job = Job(f"organisms A, task {task} of 2", "A", (), print, None)
            console.at_work([job.label])
            for stage in STAGES:
                batch.progress(job, *stage)
                batch.tick()
                bars.append(terminal.screen[-1])
            batch.done(job, Done(task, (), {}, 1.0, (), 0))
    assert told.done == pytest.approx(
        [*BY_HAND[None], *(1 + part for part in BY_HAND[4])], abs=1e-3
    )
    drawn = [float(line.split()[1].split("/")[0]) for line in bars]
    assert drawn == sorted(drawn) and drawn[0] == 0.2 and drawn[-1] == 1.8


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
