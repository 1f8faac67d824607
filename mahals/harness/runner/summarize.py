"""Summaries: how are numbers and figures made of rows that are there already, without a model?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from mahals.harness.engines.pool import Job, LocalPool, open_pool
from mahals.harness.runner.batch import name_of
from mahals.harness.runner.finish import GatherArgs, gather_units, redraw_unit
from mahals.harness.runner.prepare import command, gather_place, unit_place
from mahals.harness.runner.progress import Bar, Session
from mahals.harness.workspace.fingerprint import Resolver
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results, at, find
from mahals.harness.workspace.settings import Settings, is_canonical
from mahals.harness.workspace.telling import is_told
from mahals.kernels import environment
from mahals.phase import STUDY
from mahals.records import InputError


def pool_for(settings: Settings, session: Session, workers: int = 0) -> LocalPool:
    """Where the tasks of these settings run: with pinned kernels, if their models are organisms.

    `workers`: as many processes as memory holds, where the session leaves it open; 0: one a core.
    """
    kernels, many = environment(settings.weights), session.workers or workers
    return open_pool(settings.run.engine, many, session.console.at_work, kernels)


def gather(name: str, settings: Settings, workspace: Workspace, session: Session) -> list[Results]:
    """The units of a phase, told by the code as it is now, then its gather if it is per model.

    What is told already stays. Raises InputError if a unit is not finished.
    """
    with pool_for(settings, session) as pool:
        summarizer = Summarizer(settings, workspace, session, pool)
        units = summarizer.finished(name)
        if old := [each for each in units if not is_told(each)]:
            summarizer.redraw(old)
        if workspace.phase(name).per == "study":
            return units
        return [*units, summarizer.gather(name, units)]


def redraw(name: str, settings: Settings, workspace: Workspace, session: Session) -> list[Results]:
    """Metrics, summary and figures of what lies there, made again with the code as it is now.

    Rows and kept files stay; neither a model nor the fingerprint is asked for.
    """
    with pool_for(settings, session) as pool:
        summarizer = Summarizer(settings, workspace, session, pool)
        results = summarizer.standing(name)
        summarizer.redraw(results)
        if workspace.phase(name).per == "model":
            results = [*results, summarizer.gather(name, results, again=True)]
        return results


class Summarizer:
    """Gathers and draws over a pool."""

    def __init__(
        self, settings: Settings, workspace: Workspace, session: Session, pool: LocalPool
    ) -> None:
        self.settings, self.workspace, self.session, self.pool = settings, workspace, session, pool

    def finished(self, name: str) -> list[Results]:
        """The finished results of all units. Raises InputError naming the first that is missing."""
        resolver = Resolver(self.workspace, self.settings)
        found = []
        for unit in resolver.units(self.workspace.phase(name)):
            results = resolver.find(name, unit)
            if results is None:
                raise self._absent(name, unit)
            found.append(results)
        return found

    def standing(self, name: str) -> list[Results]:
        """Canonical results as they lie there, whatever code made them; else `finished`."""
        phase = self.workspace.phase(name)
        units = Resolver(self.workspace, self.settings).units(phase)
        if not all(is_canonical(self.workspace, self.settings, phase, unit) for unit in units):
            return self.finished(name)
        found = []
        for unit in units:
            results = at(self.workspace, self.workspace.results / name / unit)
            if results is None or results.broken():
                raise self._absent(name, unit)
            found.append(results)
        return found

    def gather(
        self,
        name: str,
        units: Sequence[Results],
        *,
        again: bool = False,
        spare: bool = False,
    ) -> Results:
        """Numbers and figures over all units; what is there already stays unless `again`.

        With `spare` they are there after the pool's `finish`.
        """
        place = gather_place(Resolver(self.workspace, self.settings), name, units)
        found = find(self.workspace, name, STUDY, place.fingerprint)
        here = found is not None and found.folder == place.folder
        if found is not None and here and is_told(found) and not again:
            self.session.console.line(f"{name} gather: complete, {self._where(found)}")
            return found
        label = f"{name} gather"
        job = Job(label, STUDY, (), gather_units, GatherArgs(tuple(units), place))
        made = Results(self.workspace, name, STUDY, place.folder, place.fingerprint)
        said = f"{label}: {len(units)} units, {self._where(made)}"
        if spare:
            self.pool.spare(job, _Drawing(self.session, None, (made, said)))
        else:
            with self.session.console.bar(label, 1, 0, "gather") as bar:
                self.pool.run([job], _Drawing(self.session, bar, (made, said)))
        return made

    def redraw(self, results: Sequence[Results]) -> None:
        """Metrics, summary and figures of units again."""
        resolver = Resolver(self.workspace, self.settings)
        jobs = []
        for each in results:
            label = f"{name_of(each.phase, each.unit)}, drawn again"
            inputs = each.run()["inputs"]
            place = unit_place(resolver, each.phase, each.unit, each.fingerprint, inputs)
            place = replace(place, folder=each.folder)
            jobs.append(Job(label, each.unit, (), redraw_unit, GatherArgs((each,), place)))
        label = f"{results[0].phase}, drawing again"
        with self.session.console.bar(label, len(jobs), 0, "unit") as bar:
            self.pool.run(jobs, _Drawing(self.session, bar))

    def _absent(self, name: str, unit: str) -> InputError:
        return InputError(
            f"results of {name_of(name, unit)}",
            expected="finished results with these values, code and versions",
            got="none",
            cure="run " + command(self.workspace, self.settings, name),
        )

    def _where(self, results: Results) -> str:
        return self.workspace.relative(results.folder)


class _Drawing:
    """Drawing while it goes on (an engine's Handler)."""

    def __init__(
        self, session: Session, bar: Bar | None, gathered: tuple[Results, str] | None = None
    ) -> None:
        self._session, self._bar, self._drawn = session, bar, 0
        self._gathered = gathered

    def progress(self, job: Job, what: str, done: int, total: int) -> None:
        """One step a job."""

    def done(self, job: Job, value: Any) -> Iterable[Job]:
        """Says what was drawn."""
        self._drawn += 1
        if self._gathered is None:
            self._session.console.line(job.label)
        else:
            made, said = self._gathered
            self._session.console.line(said)
            self._session.observer.phase_done(made)
        return ()

    def tick(self) -> None:
        """Shows how many are drawn."""
        if self._bar is not None:
            self._bar.update(self._drawn)

    def failed(self, job: Job, error: BaseException) -> None:
        """Tells the observer."""
        phase = job.argument.place.phase
        self._session.observer.failed(phase, job.unit, error)
