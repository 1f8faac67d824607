"""Progress: who watches a run, and what do they get to see?"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from mahals.harness.runner.display import BarRow, Display
from mahals.harness.workspace.results import Results

QUIET_SECONDS = 10.0  # between two lines of progress where there is no terminal
SHOW_AFTER = 2.0  # seconds; what is shorter gets no bar
IDLE = "idle"  # what a worker without a job is called


class Observer(Protocol):
    """Told of everything that happens, in the process that runs the study."""

    def task_done(self, phase: str, unit: str, done: int, total: int, seconds: float) -> None:
        """`done` of the unit's `total` tasks are measured; the last took `seconds`."""
        return

    def phase_done(self, results: Results) -> None:
        """A unit, or the gather of a phase, was made just now and is on disk."""
        return

    def failed(self, phase: str, unit: str, error: BaseException) -> None:
        """A unit will not be finished; its journal stays."""
        return

    def tick(self) -> None:
        """Called a few times a second while tasks run."""
        return

    def under_way(self, phase: str, done: float, total: int) -> None:
        """`done` of the phase's `total` tasks are measured, with parts; a few times a second."""
        return


class Silent(Observer):
    """An observer that does nothing."""


class Later:
    """An observer that is opened on a thread of its own once the first tasks are under way.

    What its opening raised is raised by the next event or tick. Before the first of these there is
    no thread: workers can be forked.
    """

    def __init__(self, open_observer: Callable[[], Observer]) -> None:
        self._open = open_observer
        self._opening: Future[Observer] | None = None

    def task_done(self, phase: str, unit: str, done: int, total: int, seconds: float) -> None:
        """Waits for the opening, then tells the observer."""
        self._begun().result().task_done(phase, unit, done, total, seconds)

    def phase_done(self, results: Results) -> None:
        """Waits for the opening, then tells the observer."""
        self._begun().result().phase_done(results)

    def failed(self, phase: str, unit: str, error: BaseException) -> None:
        """Waits for the opening, then tells the observer; nobody where there is none."""
        if self._begun().exception() is None:
            self._begun().result().failed(phase, unit, error)

    def tick(self) -> None:
        """Begins the opening; raises what it raised, if it has ended."""
        if self._begun().done():
            self._begun().result().tick()

    def under_way(self, phase: str, done: float, total: int) -> None:
        """Tells the observer, if it is open."""
        if self._begun().done():
            self._begun().result().under_way(phase, done, total)

    def _begun(self) -> Future[Observer]:
        if self._opening is None:
            pool = ThreadPoolExecutor(1)
            self._opening = pool.submit(self._open)
            pool.shutdown(wait=False)
        return self._opening


class Steps:
    """How far a job is that tells the steps of one stage after the other.

    A stage that begins anew lowers nothing: it goes on from where the stages before it stood.
    """

    def __init__(self, stages: int | None) -> None:
        """`stages`: how many the jobs before it had; None takes each for half of what is left."""
        self._stages = stages
        self._stage, self._total = 0.0, 0  # share of the one under way, and its steps
        self._first, self._began = 0, time.monotonic()
        self.ended, self.share, self.words = 0, 0.0, ""

    def step(self, what: str, done: int, total: int) -> None:
        """`done` of `total` steps of the stage that is under way; `what` it does."""
        stage, now = (min(done / total, 1.0) if total else 0.0), time.monotonic()
        another = stage < self._stage or total != self._total
        if another:
            self._first, self._began = done, now
            self.ended += bool(self.words)
        self._stage, self._total = stage, total
        if self._stages is None:
            share = 1 - 0.5**self.ended * (1 - stage / 2)
        else:
            share = (self.ended + stage) / max(self._stages, self.ended + 1)
        self.share = max(self.share, share)
        seconds = now - self._began
        rate = f" ({(done - self._first) / seconds:.3g}/s)" if seconds > 1 else ""
        self.words = f"{done}/{total} {what}{rate}"


class Console:
    """Lines and progress bars; plain lines, seldom, where `stream` is no terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self._display: Display | None = None
        self._jobs: list[tuple[str, float] | None] = []  # of each worker: its job, begun when
        self._steps: dict[str, Steps] = {}  # by job

    @property
    def live(self) -> bool:
        """Whether bars can be drawn: a terminal that can move its cursor."""
        return self.stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")

    @property
    def display(self) -> Display:
        """Where bars are drawn."""
        if self._display is None:
            self._display = Display(self.stream)
        return self._display

    def line(self, text: str) -> None:
        """One line, above the bars if there are any."""
        if self.live:
            self.display.line(text)
        else:
            print(text, file=self.stream, flush=True)

    def at_work(self, jobs: Sequence[str | None]) -> None:
        """The job that each worker process is at, by its label; None is idle."""
        began, now = dict(filter(None, self._jobs)), time.monotonic()
        self._jobs = [None if job is None else (job, began.get(job, now)) for job in jobs]
        self._steps = {job: steps for job, steps in self._steps.items() if job in jobs}

    def step(self, job: str, steps: Steps) -> None:
        """How far a job under way is."""
        self._steps[job] = steps

    def workers(self, phase: str) -> list[BarRow]:
        """A bar for each worker; the phase whose bar is the total is not named again."""
        rows, now = [], time.monotonic()
        for job in self._jobs:
            if job is None:
                rows.append(BarRow(IDLE, "", 0.0, ""))
                continue
            name = job[0].removeprefix(f"{phase} ").removeprefix(f"{phase}, ")
            steps = self._steps.get(job[0])
            words, share = (steps.words, steps.share) if steps else ("", None)
            rows.append(BarRow(name, words, share, duration(now - job[1])))
        return rows

    @contextmanager
    def bar(self, label: str, total: int | None, done: int, unit: str = "task") -> Iterator[Bar]:
        """A bar of `total` tasks, or what `unit` names, of which `done` are there already.

        `total` None: how much it is cannot be known.
        """
        bar = Bar(self, label, (done, total), unit)
        try:
            yield bar
        finally:
            bar.close()


class Bar:
    """Progress over tasks or what else `unit` names, with rate and the time left.

    It never goes back. Above it in a terminal is a bar for each worker process.
    """

    def __init__(
        self, console: Console, label: str, span: tuple[int, int | None], unit: str
    ) -> None:
        self._console, self._label, self._unit = console, label, unit
        self._first, self._total = span
        self._done, self._note = float(self._first), ""
        self._began = self._told = time.monotonic()
        self._drawn = False

    def update(self, done: float, note: str = "") -> None:
        """`done` tasks (with parts of those under way) are measured; `note`: what else to say."""
        self._done, self._note = max(self._done, done), note
        if self._total is not None:
            self._done = min(self._done, self._total)
        now = time.monotonic()
        if self._console.live:
            if now - self._began >= SHOW_AFTER:
                self._drawn = True
                self._console.display.draw(self._console.workers(self._label), self._row())
        elif now - self._told >= QUIET_SECONDS:
            self._told = now
            self._console.line(self._line())

    def close(self) -> None:
        """Leaves the bar as it stands."""
        if self._drawn:
            self._console.display.close(self._row())

    def _line(self) -> str:
        """The bar where there is no terminal: what is done, how fast, and what workers are at."""
        workers = self._console.workers(self._label)
        at = [f"{row.name} {row.state}".rstrip() for row in workers if row.name != IDLE]
        count = ""
        if self._total is not None:
            rate, left = self._pace()
            count = f"{self._done:.1f} of {self._total} {self._unit}s, {rate}"
            count += f", about {left} left" if left else ""
        return f"{self._label}: {'; '.join(part for part in (count, self._note, *at) if part)}"

    def _row(self) -> BarRow:
        """The bar in a terminal; what matters less stands last, where it may be cut off."""
        seconds = duration(time.monotonic() - self._began)
        if self._total is None:
            return BarRow(self._label, self._note, None, seconds)
        rate, left = self._pace()
        count = f"{self._done:.{1 if self._done % 1 else 0}f}/{self._total}"
        state = ", ".join(part for part in (count, left and f"{left} left", rate) if part)
        share = self._done / self._total if self._total else 1.0
        return BarRow(
            self._label, f"{state}; {self._note}" if self._note else state, share, seconds
        )

    def _pace(self) -> tuple[str, str]:
        """The rate, and the time left; "" where that is unknown or nothing is left."""
        assert self._total is not None
        seconds, left = time.monotonic() - self._began, self._total - self._done
        rate = (self._done - self._first) / seconds if seconds else 0.0
        return f"{rate * 60:.3g} a minute", duration(left / rate) if rate > 0 and left else ""


def duration(seconds: float) -> str:
    """A time for people: "40 s", "3 min", "2.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@dataclass(frozen=True)
class Session:
    """How a run is run; none of it changes a result.

    `workers` 0: one process per core. `units` None: all units and then the gather; otherwise just
    those units and no gather (what a DVC stage asks for).
    """

    console: Console = field(default_factory=Console)
    observer: Observer = field(default_factory=Silent)
    workers: int = 0
    units: tuple[str, ...] | None = None
