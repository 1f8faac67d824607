"""Who watches a run, and what do they get to see?"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

from mahals.harness.workspace.results import Results

QUIET_SECONDS = 10.0  # between two lines of progress where there is no terminal
SHOW_AFTER = 2.0  # seconds; what is shorter gets no bar


class Observer(Protocol):
    """Told of everything that happens, in the process that runs the study."""

    def task_done(self, phase: str, unit: str, done: int, total: int, seconds: float) -> None:
        """`done` of the unit's `total` tasks are measured; the last took `seconds`."""
        ...

    def phase_done(self, results: Results) -> None:
        """A unit, or the gather of a phase, was made just now and is on disk."""
        ...

    def failed(self, phase: str, unit: str, error: BaseException) -> None:
        """A unit will not be finished; its journal stays."""
        ...

    def tick(self) -> None:
        """Called a few times a second while tasks run."""
        ...

    def under_way(self, phase: str, done: float, total: int) -> None:
        """`done` of the phase's `total` tasks are measured, with parts; a few times a second."""
        ...


class Silent:
    """An observer that does nothing."""

    def task_done(self, phase: str, unit: str, done: int, total: int, seconds: float) -> None:
        """Does nothing."""

    def phase_done(self, results: Results) -> None:
        """Does nothing."""

    def failed(self, phase: str, unit: str, error: BaseException) -> None:
        """Does nothing."""

    def tick(self) -> None:
        """Does nothing."""

    def under_way(self, phase: str, done: float, total: int) -> None:
        """Does nothing."""


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


class Console:
    """Lines and progress bars; plain lines, seldom, where `stream` is no terminal."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self.stream, self.quiet = stream or sys.stderr, quiet
        self._open: Bar | None = None

    def line(self, text: str) -> None:
        """One line, above the bar if there is one."""
        if not self.quiet and not (self._open and self._open.above(text)):
            print(text, file=self.stream, flush=True)

    @contextmanager
    def bar(self, label: str, total: int, done: int, unit: str = "task") -> Iterator[Bar]:
        """A bar of `total` tasks, or what `unit` names, of which `done` are there already."""
        bar = self._open = Bar(self, label, total, done, unit)
        try:
            yield bar
        finally:
            self._open = None
            bar.close()


class Bar:
    """Progress over tasks or what else `unit` names, with rate and the time left."""

    def __init__(self, console: Console, label: str, total: int, done: int, unit: str) -> None:
        self._console, self._label, self._total, self._first = console, label, total, done
        self._unit = unit
        self._began = self._told = time.monotonic()
        self._tqdm: Any = None

    def above(self, text: str) -> bool:
        """Writes one line above the bar; False where none is drawn yet."""
        if self._tqdm is None:
            return False
        self._tqdm.write(text, file=self._console.stream)
        return True

    def update(self, done: float, note: str) -> None:
        """`done` tasks (with parts of those under way) are measured; `note`: what is under way."""
        now = time.monotonic()
        if self._console.stream.isatty() and not self._console.quiet:
            if now - self._began >= SHOW_AFTER:
                self._draw(done, note)
            return
        if now - self._told < QUIET_SECONDS:
            return
        self._told = now
        rate = (done - self._first) / (now - self._began)
        left = f", about {duration((self._total - done) / rate)} left" if rate > 0 else ""
        pace = f"{rate * 60:.3g} a minute{left}"
        also = f"; {note}" if note else ""
        self._console.line(
            f"{self._label}: {done:.1f} of {self._total} {self._unit}s, {pace}{also}"
        )

    def _draw(self, done: float, note: str) -> None:
        if self._tqdm is None:
            from tqdm import tqdm

            form = "{desc} {percentage:3.0f}% {bar:24} {n:.1f}/{total_fmt} "
            self._tqdm = tqdm(
                total=self._total,
                initial=self._first,
                desc=self._label,
                unit=self._unit,
                file=self._console.stream,
                bar_format=form + "[{elapsed}<{remaining}, {rate_fmt}{postfix}]",
            )
            self._tqdm.start_t -= time.monotonic() - self._began
        self._tqdm.n = done
        self._tqdm.set_postfix_str(note)

    def close(self) -> None:
        """Leaves the bar as it stands."""
        if self._tqdm is not None:
            self._tqdm.close()


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
