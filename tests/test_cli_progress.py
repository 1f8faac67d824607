"""Is whatever takes more than two seconds after the measuring seen to go on?"""

from __future__ import annotations

import io
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mahals.cli import run as measuring
from mahals.cli import show as showing
from mahals.harness.manifests import dvc_commit, dvc_stages, sources
from mahals.harness.runner import progress as session
from mahals.harness.runner.progress import Session
from mahals.harness.tracking import database, runs
from mahals.harness.tracking.database import Store
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.records import InputError
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


PUBLISHING = ("MLflow's database", "results to MLflow", "leaderboard lines to MLflow")


@pytest.mark.parametrize("command", ["publish", "leaderboard"])
def test_publishing_is_told_in_a_log(
    command: str, results: list[Results], told_at_once: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert getattr(showing, command)(Namespace(top=5, port=5000), {}) == 0
    lines = capsys.readouterr().err.splitlines()
    database, runs, board = ([x for x in lines if x.startswith(n)] for n in PUBLISHING)
    assert "MLflow's database: 0.0 of 1 tasks, 0 a minute; 0 s so far" in database
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
    known: bool, told_at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with showing.Meter("something") as meter:
        for done in range(3):
            if known:
                meter.count(done, 4)
            else:
                meter.wait()
    bars = [each.split() for each in terminal.getvalue().split("\r") if each.strip()]
    shown = [next(word for word in bar if "/" in word) for bar in bars]
    assert shown[0] == ("0.0/4" if known else "0.0/1")
    assert shown[-1] == ("4.0/4" if known else "1.0/1")
    assert not known or {"1.0/4", "2.0/4"} <= set(shown)
    assert known or bars[1][-2:] == ["so", "far]"]


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
    assert told[-2] == "DVC takes the results: 0.0 of 1 tasks, 0 a minute; 0 s so far"
    assert told[-1] == "DVC takes the results: 0 s"
    assert runs.publish(results, database.ensure_database(Path.cwd())).made == 0
