"""Forecast: what would a run do, how long would it take and how much room, as far as is known?"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mahals.harness.engines.pool import LocalPool
from mahals.harness.runner.journal import JournalPlace
from mahals.harness.runner.prepare import lab_spec, planned
from mahals.harness.workspace.fingerprint import Resolver, units_of
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import all_results
from mahals.harness.workspace.settings import ORGANISMS, Settings
from mahals.records import digest


@dataclass(frozen=True)
class Known:
    """What earlier runs of a phase took, or its own guess where there were none."""

    seconds: float  # per task on one core
    megabytes: float  # per task
    tasks: int  # per unit
    measured: bool


@dataclass(frozen=True)
class UnitForecast:
    """One unit of a planned run. `tasks` None: only known once what lies upstream is there."""

    phase: str
    unit: str
    state: Literal["complete", "to do", "waits for upstream"]
    tasks: int | None
    done: int
    models: tuple[str, ...]
    fingerprint: str | None
    seconds: float  # on all workers together
    megabytes: float


@dataclass(frozen=True)
class Forecast:
    """A planned run: units upstream that are missing come first in `upstream`."""

    units: tuple[UnitForecast, ...]
    upstream: tuple[UnitForecast, ...]
    workers: int

    @property
    def seconds(self) -> float:
        """Wall time of everything that is to be done."""
        return sum(unit.seconds for unit in (*self.upstream, *self.units))

    @property
    def megabytes(self) -> float:
        """Room on disk for everything that is to be made."""
        return sum(unit.megabytes for unit in (*self.upstream, *self.units))


def known(workspace: Workspace, phase: str) -> Known:
    """Median seconds and size of a task in earlier runs, or the phase's own guess."""
    runs = [r.run() for r in all_results(workspace) if r.phase == phase]
    runs = [run for run in runs if run["seconds"]["tasks"]]
    cost = workspace.phase(phase).cost
    if not runs:
        return Known(cost.seconds, cost.megabytes, 1, measured=False)
    tasks = round(statistics.median(len(run["seconds"]["tasks"]) for run in runs))
    seconds = statistics.median(second for run in runs for second in run["seconds"]["tasks"])
    return Known(seconds, cost.megabytes, tasks, measured=True)


def guess(workspace: Workspace, phase: str, units: Sequence[str], workers: int) -> float:
    """Seconds that whole units of a phase will take."""
    price = known(workspace, phase)
    tasks = price.tasks * len(units)
    return price.seconds * tasks / max(1, min(workers, tasks))


def forecast(name: str, settings: Settings, workspace: Workspace, workers: int = 0) -> Forecast:
    """What `run_phase` would do, without doing it. No model is loaded."""
    cores = LocalPool(workers).workers
    resolver = Resolver(workspace, settings)
    seen: dict[tuple[str, str], UnitForecast] = {}
    for unit in units_of(workspace.phase(name), settings):
        _visit(resolver, name, unit, cores, seen)
    wanted = [f for f in seen.values() if f.phase == name]
    upstream = [f for f in seen.values() if f.phase != name and f.state != "complete"]
    return Forecast(tuple(wanted), tuple(upstream), cores)


def _visit(
    resolver: Resolver,
    phase: str,
    unit: str,
    cores: int,
    seen: dict[tuple[str, str], UnitForecast],
    training: str = "",
) -> None:
    """Adds a unit to `seen`, after everything that it builds on; `training` is added to its name
    where organisms are trained with another seed."""
    key = phase, unit + training
    if key in seen:
        return
    own = resolver.whole().settings
    for seed, source in resolver.sources(phase).items():
        others = seed is not None and source.settings.values != own.values
        at = f", training {seed}" if others else training
        for need, other in resolver.upstream(phase, unit):
            trained = _is_trained(resolver.workspace, need)
            _visit(source, need, other, cores, seen, at if trained else "")
    seen[key] = replace(_unit(resolver, phase, unit, cores), unit=key[1])


def _is_trained(workspace: Workspace, phase: str) -> bool:
    """Whether its results are others when organisms are trained with another seed."""
    needs = workspace.phase(phase).needs
    return phase == ORGANISMS or any(_is_trained(workspace, need) for need in needs)


def _unit(resolver: Resolver, phase: str, unit: str, cores: int) -> UnitForecast:
    workspace = resolver.workspace
    price = known(workspace, phase)
    mark = resolver.fingerprint(phase, unit)
    reads = resolver.reads(phase, unit)
    if mark and resolver.find(phase, unit):
        return UnitForecast(phase, unit, "complete", 0, 0, reads, mark, 0.0, 0.0)
    if mark is None:
        seconds = guess(workspace, phase, [unit], 1) / cores
        size = price.megabytes * price.tasks
        return UnitForecast(phase, unit, "waits for upstream", None, 0, reads, None, seconds, size)
    place = JournalPlace(workspace.journals / mark)
    spec = lab_spec(resolver, phase, unit, place)
    tasks = planned(spec, resolver.settings.limit)
    done = len(place.read().keys() & {digest(task) for task in tasks})
    seconds = price.seconds * (len(tasks) - done) / cores
    size = price.megabytes * len(tasks)
    return UnitForecast(phase, unit, "to do", len(tasks), done, reads, mark, seconds, size)
