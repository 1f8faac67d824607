"""Timing: how do several ways of doing one thing compare, measured side by side in one run?

Each round runs every way once, each round beginning with another; a ratio is taken within a round,
so that a machine that slows down slows both sides. Reported: the median of the rounds' ratios with
the lowest and the highest.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Seconds:
    """How long one run took: on the clock, and of the processor's time."""

    wall: float
    cpu: float


Way = Callable[[], Seconds]
Times = Mapping[str, Sequence[Seconds]]


@dataclass(frozen=True)
class Bar:
    """What a number is held to."""

    sign: str  # <= or >=
    limit: float
    unit: str = ""

    def holds(self, value: float) -> bool:
        """Whether `value` is on the right side."""
        return value <= self.limit if self.sign == "<=" else value >= self.limit

    def __str__(self) -> str:
        """As the table shows it."""
        return f"{self.sign} {self.limit:g}{self.unit and ' ' + self.unit}"


@dataclass(frozen=True)
class Line:
    """One line of a table: a median over rounds, with the lowest and the highest."""

    group: str  # the heading it stands under
    what: str
    unit: str  # "x" for a ratio
    median: float | None  # None: not measured, and `note` says why
    low: float | None
    high: float | None
    cpu: float | None  # the same ratio of processor time
    rounds: int
    bar: str = ""
    holds: bool | None = None  # None: no bar
    note: str = ""


@dataclass
class Page:
    """What one script found."""

    name: str
    question: str
    setting: dict[str, str] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Stores it as `<name>.json`, and prints its lines."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=1) + "\n")
        print(f"\n{self.question}")
        for line in self.lines:
            print(f"  {line.group}: {line.what}: {shown(line)}")
        for note in self.notes:
            print(f"  {note}")


def read_page(path: Path) -> Page:
    """A stored page."""
    data = json.loads(path.read_text())
    return Page(**{**data, "lines": [Line(**line) for line in data["lines"]]})


def shown(line: Line) -> str:
    """The numbers of a line as text."""
    if line.median is None:
        return f"absent: {line.note}"
    spread = "" if line.rounds < 2 else f" [{line.low:.3g}, {line.high:.3g}]"
    cpu = "" if line.cpu is None else f", processor {line.cpu:.3g}"
    bar = "" if line.holds is None else f"; bar {line.bar}: {'yes' if line.holds else 'NO'}"
    return f"{line.median:.4g} {line.unit}{spread}{cpu}{bar}"


def timed(work: Callable[[], object]) -> Way:
    """`work` as a way: its result is dropped, its time is kept."""

    def run() -> Seconds:
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        work()
        return Seconds(time.perf_counter() - wall, time.process_time() - cpu)

    return run


def interleaved(ways: Mapping[str, Way], rounds: int) -> dict[str, list[Seconds]]:
    """The times of every way, round by round; each round begins with another way."""
    names = list(ways)
    found: dict[str, list[Seconds]] = {name: [] for name in names}
    for turn in range(rounds):
        at = turn % len(names)
        for name in names[at:] + names[:at]:
            found[name].append(ways[name]())
    return found


def ratio(
    group: str, what: str, times: tuple[Sequence[Seconds], Sequence[Seconds]], bar: Bar | None
) -> Line:
    """Ratios of the first's times over the second's, round by round."""
    over, under = times
    walls = [a.wall / b.wall for a, b in zip(over, under, strict=True)]
    cpu = median(a.cpu / b.cpu for a, b in zip(over, under, strict=True))
    return of_values(group, what, walls, ("x", bar), cpu)


def of_values(
    group: str,
    what: str,
    values: Sequence[float],
    shown_as: tuple[str, Bar | None],
    cpu: float | None = None,
) -> Line:
    """A line from one value a round; `shown_as` is its unit and its bar."""
    unit, bar = shown_as
    middle = median(values)
    return Line(
        group=group,
        what=what,
        unit=unit,
        median=middle,
        low=min(values),
        high=max(values),
        cpu=cpu,
        rounds=len(values),
        bar="" if bar is None else str(bar),
        holds=None if bar is None else bar.holds(middle),
    )


def absent(group: str, what: str, why: str) -> Line:
    """A line that was not measured."""
    return Line(group, what, "", None, None, None, None, 0, note=why)


def power(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The exponent b of cost = a size^b by least squares on logarithms."""
    import numpy as np

    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
