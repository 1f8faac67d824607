"""Database: where do runs, models and their files go, and is it made before anybody writes?"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mahals.records import InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = "mlflow.db"
ARTIFACTS = "mlruns"
KIND = "mahals.kind"  # tag: unit, leaderboard, invocation
FINGERPRINT = "mahals.fingerprint"  # tag: which results a run shows
EXPERIMENT_KIND = "mlflow.experimentKind"  # tag that the MLflow UI asks for when it is missing


def main_repository(root: Path | str) -> Path:
    """The repository that keeps the tracking database: `root` itself, or, inside the copy that
    `dvc exp run --temp` makes under `.dvc/tmp/exps`, the repository that was copied."""
    place = Path(root).resolve()
    for parent in (place, *place.parents):
        if parent.name == "exps" and parent.parts[-3:-1] == (".dvc", "tmp"):
            return parent.parents[2]
    return place


def tracking_uri(root: Path | str) -> str:
    """MLFLOW_TRACKING_URI if set, else sqlite in the repository. A relative sqlite path is
    relative to the repository, wherever the command was typed."""
    given = os.environ.get("MLFLOW_TRACKING_URI", "")
    home = main_repository(root)
    if not given:
        return f"sqlite:///{home / DATABASE}"
    if given.startswith("sqlite:///") and not given.startswith("sqlite:////"):
        return f"sqlite:///{home / given.removeprefix('sqlite:///')}"
    return given


@dataclass(frozen=True)
class Store:
    """A tracking database with its registry. Made by `ensure_database`, which creates it."""

    root: Path  # the main repository
    uri: str

    @cached_property
    def client(self) -> MlflowClient:
        """A client of its own: the fluent API's active run and experiment are never touched."""
        from mlflow import MlflowClient

        registry = os.environ.get("MLFLOW_REGISTRY_URI") or self.uri
        return MlflowClient(tracking_uri=self.uri, registry_uri=registry)

    @cached_property
    def _experiments(self) -> dict[str, str]:
        """Ids by name of the experiments asked for so far."""
        return {}

    def remembered(self, name: str) -> str:
        """As `experiment`, asked once: somebody may have deleted the experiment since then."""
        return self._experiments.get(name) or self.experiment(name)

    def experiment(self, name: str) -> str:
        """The id of the experiment `name`, made if it does not exist, restored if deleted."""
        self._experiments[name] = self._experiment(name)
        return self._experiments[name]

    def restored(self, name: str) -> bool:
        """Whether the experiment remembered as `name` was deleted since; it is there again then."""
        before = self._experiments[name]
        known = self.client.get_experiment_by_name(name)
        gone = known is None or known.lifecycle_stage == "deleted" or known.experiment_id != before
        return gone and bool(self.experiment(name))

    def _experiment(self, name: str) -> str:
        known = self.client.get_experiment_by_name(name)
        if known is not None:
            if known.lifecycle_stage == "deleted":
                self.client.restore_experiment(known.experiment_id)
            return str(known.experiment_id)
        tags = {EXPERIMENT_KIND: "custom_model_development"}
        return str(self.client.create_experiment(name, self._artifacts(name), tags))

    def _artifacts(self, name: str) -> str | None:
        """Files of a local database lie in the repository; a server knows its own place."""
        if not self.uri.startswith("sqlite:"):
            return None
        return (self.root / ARTIFACTS / name).as_uri()


def ensure_database(root: Path | str) -> Store:
    """The store of the repository at `root`, its tables made. Safe in many processes at once;
    call it once before workers start. Raises InputError when it cannot be opened or written."""
    home = main_repository(root)
    store = Store(home, tracking_uri(root))
    try:
        state = home / ".mahals"
        state.mkdir(exist_ok=True)
        with open(state / "tracking.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _quiet_migrations()
            _write_ahead(store.uri)
            _sync_seldom()
            store.client.search_experiments(max_results=1)
    except Exception as error:
        raise InputError(
            f"tracking database {store.uri}",
            expected="a database that opens and can be written",
            got=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            cure="check MLFLOW_TRACKING_URI, the folder's rights and the disk",
        ) from error
    return store


def _write_ahead(uri: str) -> None:
    """Sqlite's write-ahead log: the UI reads while runs are written, and a run costs half."""
    import sqlite3

    if uri.startswith("sqlite:///"):
        path = Path(uri.removeprefix("sqlite:///").split("?")[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()


@cache
def _sync_seldom() -> None:
    """Sqlite waits for the disk when the log is folded in, not at each of a run's commits.

    With the write-ahead log the database stays whole after a crash; only the last runs may be
    missing, and results on disk can be published again.
    """
    import sqlite3

    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def set_pragma(connection: object, record: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=NORMAL")

    event.listen(Engine, "connect", set_pragma)


def _quiet_migrations() -> None:
    """Creating the tables logs a hundred lines that tell a user nothing."""
    import logging

    for name in ("alembic", "alembic.runtime.migration", "mlflow.store.db.utils"):
        logging.getLogger(name).setLevel(logging.WARNING)
