"""Invocation: what does the run that `mlflow run` opened show as the study goes on, and ends?"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mahals.harness.tracking.database import KIND, Store
from mahals.harness.tracking.runs import mark_failed, publish
from mahals.records import InputError

if TYPE_CHECKING:
    from mlflow.entities import Metric

    from mahals.harness.workspace.results import Results

EVERY = 2.0  # seconds between two points of a live metric
UNIT_TAG = "mahals.made"  # tag prefix: fingerprint of a unit that the invocation made


class Tracker:
    """The runner's observer: publishes what is finished, marks what failed, and keeps the run
    that `mlflow run` opened (MLFLOW_RUN_ID) alive with progress, headline metrics and figures.

    That run gets the tag mahals.kind=invocation; its params are MLflow's own and stay as they are.
    """

    def __init__(self, store: Store, invocation: str | None) -> None:
        self._store, self._invocation = store, invocation
        self._counts: dict[str, dict[str, tuple[int, int]]] = {}
        self._seconds: dict[str, float] = {}  # of the last task of a phase, until they are shown
        self._told: dict[str, tuple[float, float]] = {}  # when a phase's last point was, its share
        self._whole: set[str] = set()  # phases whose share of all units comes with ticks
        self._began = time.monotonic()
        if invocation is not None:
            store.client.set_tag(invocation, KIND, "invocation")

    def task_done(self, phase: str, unit: str, done: int, total: int, seconds: float) -> None:
        """Notes it for the phase's next point; makes one where the phase is not the one that runs
        (its idle workers measure ahead), of the units heard of so far."""
        counts = self._counts.setdefault(phase, {})
        counts[unit] = (done, total)
        self._seconds[phase] = seconds
        if phase not in self._whole:
            finished, planned = (sum(column) for column in zip(*counts.values(), strict=True))
            self._point(phase, finished, planned)

    def under_way(self, phase: str, done: float, total: int) -> None:
        """A point of a phase of which `done` tasks, with parts of those under way, are measured."""
        self._whole.add(phase)
        self._point(phase, done, total)

    def _point(self, phase: str, done: float, total: int) -> None:
        """A point of the metrics `progress/<phase>` (share of tasks done) and, after a task,
        `seconds_per_task/<phase>`, at most every two seconds and always the last one; its step is
        the seconds since the invocation began. What says nothing new makes no point."""
        now, share = time.monotonic(), done / total if total else 1.0
        last, shown = self._told.get(phase, (float("-inf"), -1.0))
        new = share != shown or phase in self._seconds
        if self._invocation is None or not new or (share < 1.0 and now - last < EVERY):
            return
        self._told[phase] = now, share
        values = {f"progress/{phase}": share}
        if phase in self._seconds:
            values[f"seconds_per_task/{phase}"] = self._seconds.pop(phase)
        points = _metrics(values, int(now - self._began))
        self._store.client.log_batch(self._invocation, points, synchronous=True)

    def phase_done(self, results: Results) -> None:
        """Publishes the results; the invocation shows their headline metrics and figures."""
        publish([results], self._store)
        if self._invocation is None:
            return
        client, place = self._store.client, f"{results.phase}/{results.unit}"
        client.set_tag(self._invocation, f"{UNIT_TAG}.{place}", results.fingerprint)
        values = {f"{place}/{name}": value for name, value in results.metrics().items()}
        if values:
            client.log_batch(self._invocation, _metrics(values, 0), synchronous=True)
        if results.figures():
            figures = str(results.folder / "figures")
            client.log_artifacts(self._invocation, figures, f"figures/{place}")

    def tick(self) -> None:
        """Does nothing: `under_way` says how far the phase is."""

    def failed(self, phase: str, unit: str, error: BaseException) -> None:
        """A FAILED run for the unit. The invocation's own status is set by `mlflow run`."""
        run = mark_failed(self._store, phase, unit, error)
        if self._invocation is not None:
            text = f"{type(error).__name__}: {error}"[:5000]
            self._store.client.set_tag(self._invocation, "error", f"{phase}/{unit}: {text}")
            self._store.client.set_tag(self._invocation, f"{UNIT_TAG}.{phase}/{unit}", run)


def open_tracker(store: Store, environment: Mapping[str, str] = os.environ) -> Tracker:
    """The observer for this process. Raises InputError when MLFLOW_RUN_ID names no run there."""
    run = environment.get("MLFLOW_RUN_ID") or None
    if run is not None:
        from mlflow.exceptions import MlflowException

        try:
            store.client.get_run(run)
        except MlflowException as error:
            raise InputError(
                "MLFLOW_RUN_ID",
                expected=f"a run in {store.uri}",
                got=f"{run}, which is not there",
                cure="set MLFLOW_TRACKING_URI to the database in which `mlflow run` opened it",
            ) from error
    return Tracker(store, run)


def _metrics(values: Mapping[str, float], step: int) -> list[Metric]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(name, float(value), now, step) for name, value in values.items()]
