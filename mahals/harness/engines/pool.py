"""Process pool: in which processes of this machine do tasks run?

What a job gives never depends on the process it ran in, nor on how many there are. A job goes
preferably to the process that has its models in memory.
"""

from __future__ import annotations

import os
import signal
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from mahals.harness.engines.process import Report, forks, start_worker
from mahals.records import InputError, unknown

ENGINES: tuple[str, ...] = ("local",)
LEAVING_SECONDS = 2.0  # that a worker without work has to end
RESIDENT = 4  # models that a process is taken to hold

Watch = Callable[[Sequence[str | None]], None]
"""Gets the label of the job that each worker is at; None for an idle one."""


@dataclass(frozen=True)
class Job:
    """A call `function(argument, report)` of an importable function; `models`: what it needs."""

    label: str
    unit: str
    models: tuple[str, ...]
    function: Callable[[Any, Report], Any]
    argument: Any


class Handler(Protocol):
    """What the process that submits jobs does as they go on."""

    def progress(self, job: Job, what: str, done: int, total: int) -> None:
        """`done` of `total` steps of `what` inside the job."""
        ...

    def done(self, job: Job, value: Any) -> Iterable[Job]:
        """The job's value is there; gives further jobs."""
        ...

    def tick(self) -> None:
        """Called a few times a second."""
        ...

    def failed(self, job: Job, error: BaseException) -> None:
        """The job ended with an error, which will be raised."""
        ...


class _Waiting:
    """The handler of no job of its own; `show` is told a few times a second how many are left."""

    def __init__(self, show: Callable[[int], None], left: Callable[[], int]) -> None:
        self._show, self._left = show, left

    def tick(self) -> None:
        self._show(self._left())

    def progress(self, job: Job, what: str, done: int, total: int) -> None: ...

    def done(self, job: Job, value: Any) -> Iterable[Job]:
        return ()

    def failed(self, job: Job, error: BaseException) -> None: ...


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    lifeline: Connection  # closed by our death, which ends the worker
    job: Job | None = None
    spare: Handler | None = None  # of a spare job under way
    resident: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def take(self, job: Job, spare: Handler | None) -> None:
        self.job, self.spare = job, spare
        for model in job.models:
            self.resident[model] = None
            self.resident.move_to_end(model)
        while len(self.resident) > RESIDENT:
            self.resident.popitem(last=False)


class LocalPool:
    """Worker processes, started when first needed and kept until the pool is left."""

    def __init__(
        self, workers: int = 0, watch: Watch | None = None, kernels: Mapping[str, str] | None = None
    ) -> None:
        """`watch` is told a few times a second what each worker is at, spare jobs too; `kernels`
        are variables that a worker's libraries are imported with.
        """
        if workers < 0:
            raise InputError(
                "workers", expected="0 or more", got=str(workers), cure="0 is one per core"
            )
        self.workers, self._watch = workers or cores(), watch
        self._kernels = dict(kernels or {})
        self._pool: list[_Worker] = []
        self._waiting: OrderedDict[tuple[str, ...], deque[Job]] = OrderedDict()
        self._spare: deque[tuple[Job, Handler]] = deque()
        self._spoiled: tuple[Handler, BaseException] | None = None  # first error of a spare job

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, kind: object, *details: object) -> None:
        if kind is None:
            self._dismiss()
        self.stop()

    def run(self, jobs: Sequence[Job], handler: Handler) -> None:
        """Runs all jobs and those that `handler.done` gives. Raises the first error of a job.

        An InputError of a job is raised as such, anything else as TaskError; then, and on
        Ctrl-C, all workers are stopped. Spare jobs may be under way after it.
        """
        self._work(jobs, handler, all_spare=False)

    def spare(self, job: Job, handler: Handler) -> None:
        """Keeps the job for a worker that would be idle while others run; `finish` waits for it.

        Its error stops no other job: `finish` raises it. Jobs that its handler gives are spare too,
        and the handler is not ticked. What a stopped run cuts short is begun again by `finish`.
        """
        self._spare.append((job, handler))

    def claim(self, handler: Handler) -> list[Job]:
        """Takes the spare jobs of a handler out, to be run with the same handler.

        Gives those that wait. Those under way go on: the next `run` waits for them. An error that
        one of them ended with is forgotten.
        """
        waiting = [job for job, owner in self._spare if owner is handler]
        self._spare = deque(each for each in self._spare if each[1] is not handler)
        for worker in self._pool:
            if worker.spare is handler:
                worker.spare = None
        if self._spoiled is not None and self._spoiled[0] is handler:
            self._spoiled = None
        return waiting

    @property
    def left(self) -> int:
        """How many spare jobs are not done."""
        return len(self._spare) + sum(bool(w.job and w.spare) for w in self._pool)

    def finish(self, show: Callable[[int], None]) -> None:
        """Runs the spare jobs that are not done; `show` is told how many are left.

        Raises the first error that a spare job ended with, after all others are done.
        """
        self._work((), _Waiting(show, lambda: self.left), all_spare=True)
        spoiled, self._spoiled = self._spoiled, None
        if spoiled is not None:
            raise spoiled[1]

    def _work(self, jobs: Sequence[Job], handler: Handler, *, all_spare: bool) -> None:
        self._waiting.clear()
        self._add(jobs)
        try:
            while self._waiting or self._busy(all_spare) or (all_spare and self._spare):
                self._assign(spare=True)
                busy = [worker for worker in self._pool if worker.job]
                ready = set(wait([worker.pipe for worker in busy], timeout=0.3))
                for worker in busy:
                    if worker.pipe in ready:
                        self._receive(worker, handler)
                if self._watch is not None:
                    self._watch([each.job.label if each.job else None for each in self._pool])
                handler.tick()
        except BaseException:
            self.stop()
            raise

    def _busy(self, spare: bool) -> bool:
        """Whether a job is under way; spare ones count only if asked for."""
        return any(worker.job and (spare or worker.spare is None) for worker in self._pool)

    def _dismiss(self) -> None:
        """Lets all workers end by themselves: they then clean up what they made."""
        for worker in reversed(self._pool):  # a later one may hold a copy of an earlier one's pipe
            worker.pipe.close()
            worker.process.join(LEAVING_SECONDS)

    def stop(self) -> None:
        """Ends all workers at once."""
        for worker in self._pool:
            worker.process.kill()
            if worker.job and worker.spare:
                self._spare.append((worker.job, worker.spare))
        for worker in self._pool:
            worker.process.join()
            worker.pipe.close()
            worker.lifeline.close()
        self._pool.clear()

    def _add(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._waiting.setdefault(job.models, deque()).append(job)

    def _assign(self, *, spare: bool) -> None:
        """Gives waiting jobs to idle workers, then, if asked for, spare ones."""
        idle = [worker for worker in self._pool if worker.job is None]
        while self._waiting or (spare and self._spare):
            while len(self._pool) < self.workers and (not idle or forks(self._kernels)):
                idle.append(self._start())
            if not idle:
                return
            worker = idle.pop()
            job, owner = (self._choose(worker), None) if self._waiting else self._spare.popleft()
            worker.take(job, owner)
            try:
                worker.pipe.send((job.function, job.argument))
            except BrokenPipeError:
                continue  # it died idle: the next wait sees the end of its pipe

    def _choose(self, worker: _Worker) -> Job:
        """A job whose models this worker holds, else one whose models no other worker holds."""

        def score(models: tuple[str, ...]) -> tuple[int, int]:
            own = sum(model in worker.resident for model in models)
            others = sum(m in w.resident for w in self._pool if w is not worker for m in models)
            return (own - len(models), -others)

        best = max(self._waiting, key=score)
        queue = self._waiting[best]
        job = queue.popleft()
        if not queue:
            del self._waiting[best]
        return job

    def _start(self) -> _Worker:
        worker = _Worker(*start_worker(self.workers, self._kernels))
        self._pool.append(worker)
        return worker

    def _receive(self, worker: _Worker, handler: Handler) -> None:
        job, spare, handler = worker.job, worker.spare is not None, worker.spare or handler
        assert job is not None
        try:
            kind, value = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(5)
            kind, value = "error", _died(job, worker.process.exitcode)
        if kind == "progress":
            handler.progress(job, *value)
        elif kind == "error":
            handler.failed(job, value)
            if not spare or not worker.process.is_alive():
                raise value
            worker.job, self._spoiled = None, self._spoiled or (handler, value)
        else:
            worker.job = None
            self._assign(spare=False)  # it goes on while what it gave is dealt with
            given = handler.done(job, value)
            if spare:
                self._spare.extendleft((each, handler) for each in given)
            else:
                self._add(given)


def _died(job: Job, code: int | None) -> InputError:
    how = f"ended by {signal.Signals(-code).name}" if code and code < 0 else f"exit code {code}"
    hint = "give it more memory or use fewer workers" if code == -signal.SIGKILL else "look above"
    return InputError(
        f"worker process of {job.label}",
        expected="to live until its task was done",
        got=how,
        cure=f"{hint}, then run the same command again: measured tasks are in the journal",
    )


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def open_pool(
    engine: str,
    workers: int,
    watch: Watch | None = None,
    kernels: Mapping[str, str] | None = None,
) -> LocalPool:
    """The pool of that engine. Raises InputError for an unknown one."""
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES)
    return LocalPool(workers, watch, kernels)
