"""Database: where does it lie, and is it made once by many?"""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from mahals.harness.tracking.database import ensure_database, main_repository, tracking_uri
from mahals.records import InputError
from tests.support.synthetic_results import empty_store


def test_the_database_is_the_repositorys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir("/")
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    temporary = tmp_path / ".dvc" / "tmp" / "exps" / "standalone" / "tmpabc"
    assert main_repository(temporary) == tmp_path
    assert tracking_uri(temporary) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")  # as `mlflow run` passes it
    assert tracking_uri(temporary) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking:5000")
    assert tracking_uri(tmp_path) == "http://tracking:5000"


def test_a_database_that_cannot_be_made_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    with pytest.raises(InputError, match=r"tracking database .* check MLFLOW_TRACKING_URI"):
        ensure_database(tmp_path)


def _make(root: str) -> None:
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    store = ensure_database(root)
    store.client.search_experiments()


@pytest.mark.slow
def test_many_processes_may_ask_for_the_database_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_make, args=(str(tmp_path),)) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0, 0]


def test_connections_to_sqlite_wait_for_the_disk_seldom(tmp_path: Path) -> None:
    from sqlalchemy import create_engine, text

    store = empty_store(tmp_path)
    with create_engine(store.uri).connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 1  # NORMAL; 2 is FULL
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
