"""Lookahead: what can a worker that would be idle measure for the phases to come?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.harness.engines.pool import LocalPool
from mahals.harness.runner.batch import PhaseBatch, Work
from mahals.harness.runner.prepare import prepare
from mahals.harness.runner.progress import Session
from mahals.harness.workspace.fingerprint import Resolver
from mahals.harness.workspace.paths import Workspace
from mahals.harness.workspace.settings import Settings
from mahals.records import InputError


class Lookahead:
    """The phases of a study that have not begun, by the values they run with.

    A unit of theirs whose upstream is finished is measured by a worker for which the phase that
    runs has nothing left. What it gives is the same: only when it is measured changes. Leaving the
    context gives all journals back.
    """

    def __init__(
        self,
        later: Sequence[tuple[str, Settings]],
        workspace: Workspace,
        session: Session,
        pool: LocalPool,
    ) -> None:
        self._workspace, self._session, self._pool = workspace, session, pool
        self._resolvers = {name: Resolver(workspace, settings) for name, settings in later}
        self._batches: dict[str, PhaseBatch] = {}

    def __enter__(self) -> Lookahead:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        for batch in self._batches.values():
            self._pool.claim(batch)
            if error is not None:
                batch.stopped(error)
            batch.close()

    def begin(self, name: str) -> PhaseBatch:
        """The phase runs from now on; gives its batch, with the units measured ahead of it."""
        self._resolvers.pop(name, None)
        return self._batches.pop(name, None) or PhaseBatch(self._session, self.unit_done)

    def unit_done(self, unit: str) -> None:
        """Offers to idle workers what the end of this unit's measuring makes possible."""
        for name, resolver in self._resolvers.items():
            phase = self._workspace.phase(name)
            batch = self._batches.setdefault(name, PhaseBatch(self._session, self.unit_done))
            known = phase.per == "model" and unit in resolver.units(phase)
            if not known or unit in batch.works or resolver.inputs(name, unit) is None:
                continue
            if resolver.find(name, unit) is None:
                self._offer(prepare(resolver, name, unit), batch)

    def _offer(self, work: Work, batch: PhaseBatch) -> None:
        try:
            jobs = batch.begin(work)
        except InputError:  # another process is at it, or it cannot be written: if it is still so
            return  # when its phase begins, that will say so
        for job in jobs:
            self._pool.spare(job, batch)
