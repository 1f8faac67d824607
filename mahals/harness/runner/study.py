"""Study: how does a phase, or a whole study, get from settings to finished results?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from mahals.harness.engines.pool import Job, LocalPool
from mahals.harness.runner.batch import PhaseBatch, name_of
from mahals.harness.runner.forecast import forecast, guess
from mahals.harness.runner.lookahead import Lookahead
from mahals.harness.runner.output import adopt
from mahals.harness.runner.prepare import command, prepare, unit_place
from mahals.harness.runner.progress import Session, duration
from mahals.harness.runner.summarize import Summarizer, pool_for
from mahals.harness.workspace.files import remove
from mahals.harness.workspace.fingerprint import Resolver
from mahals.harness.workspace.model_registry import load_registry, phases_of
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.results import Results
from mahals.harness.workspace.settings import Settings, upstream_names
from mahals.harness.workspace.telling import is_told
from mahals.phases.registry import STUDIES
from mahals.records import InputError, unknown


def run_phase(
    name: str, settings: Settings, workspace: Workspace, session: Session
) -> list[Results]:
    """Results of a phase's units, then of its gather; what is missing is measured now.

    Raises InputError for what a user can mend, TaskError for an error in a task.
    """
    with pool_for(settings, session, _held([name], settings, workspace)) as pool:
        return Study(settings, workspace, session, pool).run(name)


def _held(names: Sequence[str], settings: Settings, workspace: Workspace) -> int:
    """How many processes with real checkpoints memory holds; 0, one a core, for organisms."""
    if settings.weights == "organism":
        return 0
    return min(forecast(name, settings, workspace, timed=False).workers for name in names)


def run_study(settings: Settings, workspace: Workspace, session: Session) -> list[Results]:
    """Results of every phase of `settings.run.study`, upstream first, over one pool.

    A limit holds for phases that no other phase of the study needs.
    """
    names = studied(workspace, settings)
    needed = {
        need for name in names for need in upstream_names(workspace.phase(name), settings.weights)
    }
    own = {name: settings.without_limit() if name in needed else settings for name in names}
    with pool_for(settings, session, _held(names, settings, workspace)) as pool:
        results = []
        try:
            with Lookahead(list(own.items()), workspace, session, pool) as ahead:
                for name in names:
                    study = Study(own[name], workspace, session, pool, ahead)
                    results += study.run(name, spare=True)
        except Exception:
            _finish(pool, session)  # what the phases before it found is shown all the same
            raise
        _finish(pool, session)
        return results


def studied(workspace: Workspace, settings: Settings) -> tuple[str, ...]:
    """The phases of the study that have something to do, upstream first."""
    named, registry = STUDIES[settings.run.study], load_registry(workspace)
    return phases_of(named, settings.weights, settings.models, registry)


def _finish(pool: LocalPool, session: Session) -> None:
    """Waits for the gathers that are not done."""
    total = pool.left
    with session.console.bar("figures over all models", total, 0, "gather") as bar:
        pool.finish(lambda left: bar.update(total - left))


class Study:
    """Runs phases under one set of values over one pool."""

    def __init__(
        self,
        settings: Settings,
        workspace: Workspace,
        session: Session,
        pool: LocalPool,
        ahead: Lookahead | None = None,
    ) -> None:
        """`ahead`: what idle workers measure for later phases; None outside of a study."""
        self.settings, self.workspace, self.session, self.pool = settings, workspace, session, pool
        self.ahead = ahead
        self.training = ""  # in messages: of which training it makes what is missing

    def run(self, name: str, *, spare: bool = False) -> list[Results]:
        """The phase's results: units in order, then the gather.

        With `spare` the gather is made while the next phase runs, at the latest in the pool's
        `finish`, which raises its error: no phase reads another's gather.
        """
        phase = self.workspace.phase(name)
        known = Resolver(self.workspace, self.settings).units(phase)
        units = self.session.units or known
        for unit in units:
            if unit not in known:
                raise unknown(f"unit of {name}", unit, known)
        self._upstream(name, units)
        results = self._measure(name, units)
        if phase.per == "model" and self.session.units is None:
            results.append(self._summarizer(self.settings).gather(name, results, spare=spare))
        return results

    def _upstream(self, name: str, units: Sequence[str]) -> None:
        """Makes, or with upstream=require refuses, what the units lack, training by training."""
        resolver = Resolver(self.workspace, self.settings)
        wanted: dict[str, list[str]] = {}
        for unit in units:
            for need, other in resolver.upstream(name, unit):
                if other not in wanted.setdefault(need, []):
                    wanted[need].append(other)
        for training, source in resolver.sources(name).items():
            whole = Study(source.settings, self.workspace, self.session, self.pool)
            whole.training = self.training if training is None else f", training {training}"
            reader = f"{name}{whole.training}"
            for need, others in wanted.items():
                missing = [o for o in others if source.find(need, o) is None]
                if missing:
                    whole.make(need, missing, wanted_by=reader)

    def make(self, name: str, units: Sequence[str], *, wanted_by: str) -> None:
        """Measures units that a later phase lacks, and what those lack in turn."""
        labels = ", ".join(name_of(name, unit) for unit in units)
        if self.settings.run.upstream == "require":
            raise InputError(
                f"phase {wanted_by}",
                expected=f"finished results of {labels} with these values, code and versions",
                got="none",
                cure="run " + command(self.workspace, self.settings, name),
            )
        self._upstream(name, units)
        seconds = guess(self.workspace, name, units, self.pool.workers)
        self.session.console.line(
            f"{wanted_by} needs {labels}: missing, run first, about {duration(seconds)}"
        )
        measured = self._measure(name, units)
        phase = self.workspace.phase(name)
        known = Resolver(self.workspace, self.settings).units(phase)
        if phase.per == "model" and list(units) == list(known):
            self._summarizer(self.settings).gather(name, measured)

    def _measure(self, name: str, units: Sequence[str]) -> list[Results]:
        """The units' results, in order; finished ones are taken as they are."""
        batch = self.ahead.begin(name) if self.ahead else PhaseBatch(self.session)
        resolver = Resolver(self.workspace, self.settings)
        told = batch.finished  # by the line of their end
        found = {
            unit: None
            if batch.under_way(unit)
            else self._finished(resolver, name, unit, unit in told)
            for unit in units
        }
        missing = [unit for unit, results in found.items() if results is None]
        if missing:
            self._work(name, batch, missing)
        made = []
        for unit in units:
            results = found[unit] or resolver.find(name, unit)
            if results is None:
                raise RuntimeError(f"{name_of(name, unit)} is finished but cannot be found")
            made.append(results)
        return made

    def _finished(self, resolver: Resolver, name: str, unit: str, told: bool) -> Results | None:
        """A unit's finished results, if any, drawn again where only that is missing."""
        results = resolver.find(name, unit)
        if results is None:
            return None
        remove(self.workspace.journals / results.fingerprint)
        if not is_told(results):
            self._summarizer(self.settings).redraw([results])
        results = self._in_place(resolver, results)
        if not told:
            where = self.workspace.relative(results.folder)
            self.session.console.line(f"{name_of(name, unit)}: complete, {where}")
        return results

    def _in_place(self, resolver: Resolver, results: Results) -> Results:
        """The results where these values belong: made elsewhere, they are taken over."""
        run = results.run()
        mark, unit = results.fingerprint, results.unit
        place = unit_place(resolver, results.phase, unit, mark, run["inputs"])
        if results.folder == place.folder or results.is_canonical:
            return results
        adopt(results, place)
        return Results(self.workspace, results.phase, unit, place.folder, mark)

    def _summarizer(self, settings: Settings) -> Summarizer:
        return Summarizer(settings, self.workspace, self.session, self.pool)

    def _work(self, name: str, batch: PhaseBatch, units: Sequence[str]) -> None:
        """Measures units together; each is finished as soon as its last task is done.

        What of them is under way already, ahead of their phase, goes on.
        """
        with ExitStack() as stack:
            stack.callback(batch.close)
            jobs = [*self.pool.claim(batch), *batch.spoiled] if self.ahead else []
            batch.spoiled.clear()
            resolver = Resolver(self.workspace, self.settings)
            ahead = batch.counts()[0]
            try:
                for unit in units:
                    if not batch.under_way(unit):
                        jobs += self._begin(resolver, name, unit, batch)
                done, total = batch.counts()
                if done > ahead:
                    said = f"{done - ahead} of {total} tasks are in the journal"
                    self.session.console.line(f"{name}: {said}")
                batch.bar = stack.enter_context(self.session.console.bar(name, total, done))
                self.pool.run(jobs, batch)
            except BaseException as error:
                batch.stopped(error)
                raise

    def _begin(self, resolver: Resolver, name: str, unit: str, batch: PhaseBatch) -> list[Job]:
        """The unit's jobs; what keeps it from beginning is told to the observer, too."""
        try:
            return batch.begin(prepare(resolver, name, unit))
        except InputError as error:
            self.session.observer.failed(name, unit, error)
            raise
