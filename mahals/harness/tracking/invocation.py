"""Invocation: what does the run that `mlflow run` opened show as the study goes on, and ends?"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mahals.harness.tracking.database import KIND, Store
from mahals.harness.tracking.descriptions import NOTE, RunLink, headline_values, invocation_note
from mahals.harness.tracking.runs import files_of, mark_failed, publish
from mahals.harness.workspace.provenance import Provenance, together
from mahals.records import InputError

if TYPE_CHECKING:
    from mlflow.entities import Metric

    from mahals.harness.workspace.results import Results

EVERY = 2.0  # seconds between two points of a live metric
METRICS = 30  # at most so many of an invocation: progress and headlines; the rest: its children
MADE = (
    "mahals.made"  # tag: "phase/unit fingerprint" of all that the invocation made, 12 digits each
)
FAILED = "mahals.failed"  # tag prefix: the run of a unit that failed


@dataclass(frozen=True)
class Ending:
    """What an invocation says when all is done."""

    top: Sequence[str]  # paragraphs: the first lines of the boards, or of what was told
    metrics: Sequence[Mapping[str, float]]  # headlines, the most important source first
    view: str | None  # page of the ranked leaderboard, from the UI's root


class Tracker:
    """The runner's observer: publishes what is finished, marks what failed, and keeps the run
    that `mlflow run` opened (MLFLOW_RUN_ID) alive with progress, links and figures.

    That run gets the tag mahals.kind=invocation; its params are MLflow's own and stay as they are.
    The runs of phases that are made meanwhile are its children, each with its own metrics.
    """

    def __init__(self, store: Store, invocation: str | None) -> None:
        self._store, self._invocation = store, invocation
        self._counts: dict[str, dict[str, tuple[int, int]]] = {}
        self._told: dict[str, tuple[float, float]] = {}  # when a phase's last point was, its share
        self._whole: set[str] = set()  # phases whose share of all units comes with ticks
        self._made: list[str] = []
        self._links: list[RunLink] = []  # to what is finished
        self._of: list[Provenance | None] = []  # what that is of
        self._began = time.monotonic()
        if invocation is not None:
            store.client.set_tag(invocation, KIND, "invocation")

    def task_done(self, phase: str, unit: str, done: int, total: int, seconds: float) -> None:
        """Notes it for the phase's next point; makes one where the phase is not the one that runs
        (its idle workers measure ahead), of the units heard of so far."""
        counts = self._counts.setdefault(phase, {})
        counts[unit] = (done, total)
        if phase not in self._whole:
            finished, planned = (sum(column) for column in zip(*counts.values(), strict=True))
            self._point(phase, finished, planned)

    def under_way(self, phase: str, done: float, total: int) -> None:
        """A point of a phase of which `done` tasks, with parts of those under way, are measured."""
        self._whole.add(phase)
        self._point(phase, done, total)

    def _point(self, phase: str, done: float, total: int) -> None:
        """A point of the metric `progress/<phase>` (share of tasks done), at most every two seconds
        and always the last one; its step is the seconds since the invocation began. What says
        nothing new makes no point."""
        now, share = time.monotonic(), done / total if total else 1.0
        last, shown = self._told.get(phase, (float("-inf"), -1.0))
        if self._invocation is None or share == shown or (share < 1.0 and now - last < EVERY):
            return
        self._told[phase] = now, share
        points = _metrics({f"progress/{phase}": share}, int(now - self._began))
        self._store.client.log_batch(self._invocation, points, synchronous=True)

    def phase_done(self, results: Results) -> None:
        """Publishes the results as a child of the invocation, which shows their figures (as PNG)
        and a link to them."""
        runs = publish([results], self._store, parent=self._invocation).runs
        if self._invocation is None:
            return
        client, place = self._store.client, f"{results.phase}/{results.unit}"
        self._made.append(f"{place} {results.fingerprint[:12]}")
        client.set_tag(self._invocation, MADE, ", ".join(self._made)[:5000])
        files = files_of(client.get_run(self._invocation), self._store)
        for figure in results.figures():
            files.log_artifact(str(figure), f"figures/{place}")
        self._links.append(_link(results, runs, self._store))
        self._of.append(results.provenance())
        note = invocation_note(_all_of(self._of), self._links, (), None)
        client.set_tag(self._invocation, NOTE, note)

    def tick(self) -> None:
        """Does nothing: `under_way` says how far the phase is."""

    def failed(self, phase: str, unit: str, error: BaseException) -> None:
        """A FAILED run for the unit. The invocation's own status is set by `mlflow run`."""
        run = mark_failed(self._store, phase, unit, error)
        if self._invocation is not None:
            text = f"{type(error).__name__}: {error}"[:5000]
            self._store.client.set_tag(self._invocation, "error", f"{phase}/{unit}: {text}")
            self._store.client.set_tag(self._invocation, f"{FAILED}.{phase}/{unit}", run)


def conclude(store: Store, invocation: str, results: Sequence[Results], ending: Ending) -> None:
    """Writes the invocation's description: what was run, the top of the board, links to `results`.

    Results that are not in MLflow yet get their runs, as its children. The headlines become metrics
    of the invocation, as far as there is room for them beside its progress.
    """
    runs = publish(results, store, parent=invocation).runs
    links = [_link(each, runs, store) for each in results]
    of = _all_of([each.provenance() for each in results])
    note = invocation_note(of, links, ending.top, ending.view)
    store.client.set_tag(invocation, NOTE, note)
    taken = len(store.client.get_run(invocation).data.metrics)
    values = headline_values(ending.metrics, taken, METRICS)
    store.client.log_batch(invocation, _metrics(values, 0), synchronous=True)


def _link(results: Results, runs: Mapping[str, str], store: Store) -> RunLink:
    phase = results.phase
    return RunLink(phase, results.unit, store.remembered(phase), runs[results.fingerprint])


def _all_of(some: Sequence[Provenance | None]) -> Provenance | None:
    return together(of for of in some if of is not None)


def opened_run(environment: Mapping[str, str] = os.environ) -> str | None:
    """The id of the run that `mlflow run` opened for this process, if it did."""
    return environment.get("MLFLOW_RUN_ID") or None


def open_tracker(store: Store, environment: Mapping[str, str] = os.environ) -> Tracker:
    """The observer for this process. Raises InputError when MLFLOW_RUN_ID names no run there."""
    run = opened_run(environment)
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
