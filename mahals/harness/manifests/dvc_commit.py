"""DVC commit: which stages are done, because the study made their results outside of DVC?"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from mahals.harness.manifests.dvc_stages import BOARD, PUBLISH, gather_of
from mahals.harness.manifests.sources import Sources
from mahals.harness.workspace.fingerprint import Resolver
from mahals.harness.workspace.results import Results, find
from mahals.harness.workspace.settings import Settings
from mahals.harness.workspace.telling import is_told
from mahals.phase import STUDY
from mahals.records import InputError

TICK = 0.3  # seconds between two calls of what shows that DVC is waited for


def inside_stage() -> bool:
    """Whether this process was started by DVC, as the command of a stage."""
    return "DVC_STAGE" in os.environ


@contextmanager
def committing(sources: Sources, tick: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While its body runs, the hashes of every valid canonical result go to dvc.lock and the cache.

    After it `dvc repro` runs nothing for these stages; it does nothing where the project is no DVC
    repository. `tick` is called a few times a second while DVC is waited for after the body. Raises
    InputError with DVC's own words when it refuses.
    """
    stages = valid_stages(sources)
    if not stages or not all((sources.root / p).exists() for p in (".dvc/config", ".git")):
        yield
        return
    # without --no-relink DVC takes away and copies back each file, which others may be reading
    command = [sys.executable, "-m", "dvc", "commit", "--force", "--with-deps", "--no-relink"]
    command += ends(sources, stages)
    with subprocess.Popen(
        command, cwd=sources.root, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield
        finally:
            errors = _errors(process, tick)
    if process.returncode:
        raise InputError(
            "dvc commit",
            expected="DVC to take the results",
            got=(errors.strip().splitlines() or ["no reason given"])[-1],
            cure="the results are whole; look at `dvc status`, then run `dvc repro`",
        )


def _errors(process: subprocess.Popen[str], tick: Callable[[], None]) -> str:
    """What the process said on stderr, once it has ended."""
    while True:
        if process.poll() is None:
            tick()
        try:
            return process.communicate(timeout=TICK)[1]
        except subprocess.TimeoutExpired:
            continue


def ends(sources: Sources, stages: Sequence[str]) -> tuple[str, ...]:
    """Those of `stages` (all of them valid) that no other of them builds on.

    `dvc commit` reads the whole project anew for each stage that it is told, so it is told the
    ends alone, and takes what lies upstream of them with them.
    """
    if PUBLISH in stages:
        return (PUBLISH,)
    resolver = _resolver(sources)
    behind: set[str] = set()
    for name, phase in sources.studied.items():
        if gather_of(phase) in stages:
            behind.add(name)
        if name in stages:
            needs = (resolver.upstream(name, unit) for unit in sources.measured(phase))
            behind |= {need for found in needs for need, _ in found}
    return tuple(stage for stage in stages if stage not in behind)


def valid_stages(sources: Sources) -> tuple[str, ...]:
    """The stages all of whose results lie under results/ and are those of the present values,
    code and versions, in the order of dvc.yaml."""
    from mahals.harness.runner.prepare import gather_place

    workspace, resolver = sources.workspace, _resolver(sources)
    done: list[str] = []
    for name, phase in sources.studied.items():
        units = sources.measured(phase)
        found = [resolver.find(name, unit) for unit in units]
        whole = [r for r in found if r and r.folder.is_relative_to(workspace.results)]
        if len(whole) < len(units):
            continue
        done.append(name)
        told: list[Results | None] = [*whole]
        if phase.per == "model":
            mark = gather_place(resolver, name, whole).fingerprint
            told.append(find(workspace, name, STUDY, mark))
        if all(r and r.folder.is_relative_to(workspace.results) and is_told(r) for r in told):
            done.append(gather_of(phase))
    published = len(done) == 2 * len(sources.studied) and (sources.root / BOARD).is_file()
    return (*done, PUBLISH) if published else tuple(done)


def _resolver(sources: Sources) -> Resolver:
    return Resolver(sources.workspace, Settings(values=sources.params, plain=sources.params))
