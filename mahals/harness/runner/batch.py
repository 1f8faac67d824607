"""Phase batch: how do the tasks of its units go over the pool together, into their journals?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mahals.harness.engines.pool import Job
from mahals.harness.runner.finish import FinishArgs, finish_unit
from mahals.harness.runner.journal import Done, Journal
from mahals.harness.runner.lab import LabSpec
from mahals.harness.runner.output import Unit
from mahals.harness.runner.progress import Bar, Session, Steps
from mahals.harness.runner.worker import MeasureArgs, measure_task
from mahals.harness.workspace.files import make_folder, remove_if_empty
from mahals.harness.workspace.results import Results, find
from mahals.phase import STUDY
from mahals.records import digest


@dataclass(frozen=True)
class Work:
    """A unit being measured: its tasks in plan order, and the journal of those done."""

    place: Unit
    spec: LabSpec
    journal: Journal
    tasks: tuple[Any, ...]
    order: tuple[str, ...]  # digests of `tasks`

    @property
    def results(self) -> Results:
        """The results as they will lie on disk."""
        at = self.place
        return Results(at.workspace, at.phase, at.unit, at.folder, at.fingerprint)

    @property
    def label(self) -> str:
        """What messages call it."""
        return name_of(self.place.phase, self.place.unit)

    def jobs(self) -> list[Job]:
        """The tasks still to be measured; the last step alone when there are none."""
        return [self._job(i) for i in self.journal.missing(self.order)] or [self.last()]

    def last(self) -> Job:
        """The step that makes results of the journal."""
        argument = FinishArgs(self.spec, self.order, self.place)
        return Job(self.label, self.place.unit, self.spec.reads[:1], finish_unit, argument)

    def _job(self, position: int) -> Job:
        task = self.tasks[position]
        label = f"{self.label}, task {position + 1} of {len(self.tasks)}"
        return Job(label, self.place.unit, task.models, measure_task, MeasureArgs(self.spec, task))


def name_of(phase: str, unit: str) -> str:
    """What messages call a unit."""
    return phase if unit == STUDY else f"{phase} {unit}"


def digests(label: str, tasks: Sequence[Any]) -> tuple[str, ...]:
    """The tasks' digests. Raises ValueError when two tasks are the same."""
    order = tuple(digest(task) for task in tasks)
    if len(set(order)) != len(order):
        raise ValueError(f"{label}: the plan holds the same task twice")
    return order


class PhaseBatch:
    """The units of one phase while the pool works on them (an engine's Handler)."""

    def __init__(self, session: Session, after: Callable[[str], None] | None = None) -> None:
        """`after` is told of each unit that is finished."""
        self._session, self._after = session, after
        self._steps: dict[str, Steps] = {}  # of jobs under way
        self._stages: int | None = None  # that a job of this phase had
        self.works: dict[str, Work] = {}  # by unit
        self.finished: set[str] = set()
        self.spoiled: list[Job] = []  # what ended with an error
        self.bar: Bar | None = None  # shown while its phase is the one that runs

    def begin(self, work: Work) -> list[Job]:
        """A unit's jobs, once its journal is taken; none if another process has just finished it.

        Raises InputError when another process has the journal, or its folder cannot be written, or
        what lies there cannot be read.
        """
        place = work.place
        make_folder(place.folder)
        work.journal.open()
        try:
            made = find(place.workspace, place.phase, place.unit, place.fingerprint)
            if made is not None:
                work.journal.discard()
        except BaseException:
            work.journal.close()
            raise
        if made is not None:
            work.journal.close()
            return []
        self.works[place.unit] = work
        self.finished.discard(place.unit)  # its results may have been taken away
        return work.jobs()

    def under_way(self, unit: str) -> bool:
        """Whether the unit was taken and its end not told yet, whatever lies on disk."""
        return unit in self.works and unit not in self.finished

    def close(self) -> None:
        """Gives all journals back."""
        for work in self.works.values():
            work.journal.close()

    def counts(self) -> tuple[int, int]:
        """How many of its tasks are measured, and how many there are."""
        missing = sum(len(w.journal.missing(w.order)) for w in self.works.values())
        total = sum(len(w.order) for w in self.works.values())
        return total - missing, total

    def progress(self, job: Job, what: str, done: int, total: int) -> None:
        """Notes how far a job is."""
        steps = self._steps.setdefault(job.label, Steps(self._stages))
        steps.step(what, done, total)
        self._session.console.step(job.label, steps)

    def done(self, job: Job, value: Any) -> Iterable[Job]:
        """A task goes into its journal; the last one of a unit leads to the unit's finish."""
        work, steps = self.works[job.unit], self._steps.pop(job.label, None)
        if not isinstance(value, Done):
            self._finish(work)
            return ()
        if steps is not None:
            self._stages = max(self._stages or 1, steps.ended + 1)
        work.journal.append(value)
        count, total = len(work.order) - len(work.journal.missing(work.order)), len(work.order)
        at = work.place
        self._session.observer.task_done(at.phase, at.unit, count, total, value.seconds)
        return [work.last()] if count == total else ()

    def tick(self) -> None:
        """Shows tasks done and parts of those under way."""
        observer = self._session.observer
        observer.tick()
        measured, total = self.counts()
        done = measured + sum(steps.share for steps in self._steps.values())
        if self.works:
            observer.under_way(next(iter(self.works.values())).place.phase, done, total)
        if self.bar is not None:
            self.bar.update(done)

    def failed(self, job: Job, error: BaseException) -> None:
        """Tells the observer which unit will not be finished."""
        self.spoiled.append(job)
        self._steps.pop(job.label, None)
        self._session.observer.failed(self.works[job.unit].place.phase, job.unit, error)

    def stopped(self, error: BaseException) -> None:
        """Tells the observer of all units that are not finished: the whole batch stops."""
        for unit, work in self.works.items():
            if unit not in {*self.finished, *(job.unit for job in self.spoiled)}:
                self._session.observer.failed(work.place.phase, unit, error)
            remove_if_empty(work.place.folder)

    def _finish(self, work: Work) -> None:
        self.finished.add(work.place.unit)
        work.journal.discard()
        work.journal.close()
        seconds = sum(entry.seconds for entry in work.journal.done.values())
        where = work.place.workspace.relative(work.place.folder)
        self._session.console.line(
            f"{work.label}: {len(work.order)} tasks, {seconds:.1f} s of work, {where}"
        )
        self._session.observer.phase_done(work.results)
        if self._after is not None:
            self._after(work.place.unit)
