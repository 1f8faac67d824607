"""Forecast: what would a run do, how long would it take and how much room, as far as is known?"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mahals.harness.engines.pool import LocalPool
from mahals.harness.runner.demand import Demand, cached_speed, fitting, free_bytes, unit_demand
from mahals.harness.runner.journal import JournalPlace
from mahals.harness.runner.prepare import bare_spec, lab_spec, planned
from mahals.harness.workspace.fingerprint import Resolver
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import all_results
from mahals.harness.workspace.settings import ORGANISMS, Settings
from mahals.records import InputError, digest

State = Literal["complete", "to do", "waits for upstream"]


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
    state: State
    tasks: int | None
    done: int
    models: tuple[str, ...]
    fingerprint: str | None
    seconds: float | None  # on all workers together; None where nobody knows
    megabytes: float
    demand: Demand | None  # of real checkpoints; None of organisms, and of what reads no model


@dataclass(frozen=True)
class Forecast:
    """A planned run: units upstream that are missing come first in `upstream`."""

    units: tuple[UnitForecast, ...]
    upstream: tuple[UnitForecast, ...]
    workers: int  # processes: one a core, or as many as memory holds
    free: int | None  # bytes of memory that are free for checkpoints of the hub

    @property
    def seconds(self) -> float:
        """Wall time of everything that is to be done, as far as it is known."""
        return sum(unit.seconds or 0.0 for unit in (*self.upstream, *self.units))

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


def forecast(
    name: str, settings: Settings, workspace: Workspace, workers: int = 0, *, timed: bool = True
) -> Forecast:
    """What `run_phase` would do, without doing it. No checkpoint is loaded."""
    cores = LocalPool(workers).workers
    resolver = Resolver(workspace, settings)
    seen: dict[tuple[str, str], UnitForecast] = {}
    for unit in resolver.units(workspace.phase(name)):
        _visit(resolver, name, unit, cores, seen)
    asked = [f.demand.memory for f in seen.values() if f.demand is not None]
    free = free_bytes(resolver.device) if asked else None
    if free is not None and not workers:
        cores = fitting(max(asked), free, cores)
    shared = list(seen.values())
    if timed:
        shared = [_timed(f, at_once(shared, f.phase, cores), resolver) for f in shared]
    wanted = [f for f in shared if f.phase == name]
    upstream = [f for f in shared if f.phase != name and f.state != "complete"]
    return Forecast(tuple(wanted), tuple(upstream), cores, free)


def at_once(units: Sequence[UnitForecast], phase: str, processes: int) -> int:
    """How many of the processes the tasks left of a phase can use; a unit of unknown tasks has one.

    At least one.
    """
    left = sum((u.tasks or 1) - u.done for u in units if u.phase == phase and u.state != "complete")
    return max(1, min(processes, left))


def _timed(unit: UnitForecast, processes: int, resolver: Resolver) -> UnitForecast:
    """A unit of real checkpoints with the time that so many processes take, by a measured batch."""
    if unit.demand is None or unit.demand.work is None:
        return unit
    work, speed = unit.demand.work, cached_speed(resolver.workspace, resolver.device)
    left = 1.0 if not unit.tasks else 1 - unit.done / unit.tasks
    return replace(unit, seconds=speed.seconds(work.read, work.written) * left / processes)


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
        return UnitForecast(phase, unit, "complete", 0, 0, reads, mark, 0.0, 0.0, None)
    if mark is None:
        demand = _guessed(resolver, phase, unit)
        seconds = None if demand else guess(workspace, phase, [unit], 1) / cores
        size = price.megabytes * price.tasks
        state: State = "waits for upstream"
        return UnitForecast(phase, unit, state, None, 0, reads, None, seconds, size, demand)
    place = JournalPlace(workspace.journals / mark)
    spec = lab_spec(resolver, phase, unit, place)
    tasks = planned(spec, resolver.settings.limit)
    done = len(place.read().keys() & {digest(task) for task in tasks})
    demand = unit_demand(spec, tasks, resolver.registry) if _reads_hub(resolver, reads) else None
    seconds = None if demand else price.seconds * (len(tasks) - done) / cores
    size = price.megabytes * len(tasks)
    return UnitForecast(phase, unit, "to do", len(tasks), done, reads, mark, seconds, size, demand)


def _reads_hub(resolver: Resolver, reads: Sequence[str]) -> bool:
    return resolver.settings.weights == "hub" and bool(reads)


def _guessed(resolver: Resolver, phase: str, unit: str) -> Demand | None:
    """What a unit asks whose upstream is not there: by its plan over texts of a usual length."""
    if not _reads_hub(resolver, resolver.reads(phase, unit)):
        return None
    spec = bare_spec(resolver, phase, unit)
    try:
        tasks = planned(spec, resolver.settings.limit)
    except InputError:  # it is planned by what lies upstream
        tasks = ()
    return unit_demand(spec, tasks, resolver.registry)
