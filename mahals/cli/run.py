"""Commands that measure: what do `run`, `study`, `gather` and `draw` do, and print at the end?"""

from __future__ import annotations

import gc
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from mahals.cli.ending import end
from mahals.cli.keys import refuse_unknown
from mahals.cli.overrides import RESERVED, together
from mahals.cli.plan import plan_page
from mahals.phase import STUDY
from mahals.phases.registry import STUDIES
from mahals.records import InputError, unknown

if TYPE_CHECKING:
    from mahals.harness.runner.forecast import Forecast
    from mahals.harness.runner.progress import Session
    from mahals.harness.tracking.database import Store
    from mahals.harness.tracking.invocation import Tracker
    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.results import Results
    from mahals.harness.workspace.settings import Settings

Keys = Mapping[str, Any]


def run(options: Namespace, keys: Keys) -> int:
    """Measures a phase (or one unit of it) and what it lacks from upstream."""
    from mahals.harness.runner.forecast import forecast
    from mahals.harness.runner.study import run_phase

    workspace, settings = read_settings(options, keys, options.phase)
    units = _units(options, workspace, settings)
    if options.dry_run:
        plan = forecast(options.phase, settings, workspace, options.workers)
        print(plan_page([plan], units))
        print(*_foretold([options.phase], [plan], settings, workspace), sep="", end="")
        return 0

    def work(session: Session) -> list[Results]:
        return run_phase(options.phase, settings, workspace, session)

    def show(results: list[Results], store: Store | None) -> None:
        gathered = results[-1].unit == STUDY
        end(workspace, results[-1:] if gathered else results, results, store)

    _measure(workspace, options.workers, units, work, show)
    return 0


def study(options: Namespace, keys: Keys) -> int:
    """Runs every phase of the study; says on one screen what came out, and where it all is."""
    from mahals.harness.runner.forecast import forecast
    from mahals.harness.runner.study import run_study, studied

    workspace, settings = read_settings(options, keys, None)
    if options.dry_run:
        names = studied(workspace, settings)
        plans = [forecast(name, settings, workspace, options.workers) for name in names]
        print(plan_page(plans, None))
        print(*_foretold(names, plans, settings, workspace), sep="", end="")
        return 0

    def work(session: Session) -> list[Results]:
        return run_study(settings, workspace, session)

    def show(results: list[Results], store: Store | None) -> None:
        end(workspace, [r for r in results if r.unit == STUDY], results, store)

    _measure(workspace, options.workers, None, work, show)
    return 0


def gather(options: Namespace, keys: Keys) -> int:
    """Tells and draws the finished units of a phase where that is to be done, and sums them up."""
    from mahals.harness.runner.summarize import gather as gather_units

    workspace, settings = read_settings(options, keys, options.phase)

    def work(session: Session) -> list[Results]:
        return gather_units(options.phase, settings, workspace, session)

    def show(results: list[Results], store: Store | None) -> None:
        end(workspace, results[-1:], results, store)

    _measure(workspace, 1, None, work, show)
    return 0


def draw(options: Namespace, keys: Keys) -> int:
    """Makes a phase's numbers and figures again from its rows, with the code as it is now."""
    from mahals.harness.runner.summarize import redraw

    workspace, settings = read_settings(options, keys, options.phase)

    def work(session: Session) -> list[Results]:
        return redraw(options.phase, settings, workspace, session)

    def show(results: list[Results], store: Store | None) -> None:
        print("\n".join(f"figures: {workspace.relative(p)}" for p in _figure_folders(results)))

    _measure(workspace, 0, None, work, show)
    return 0


def read_settings(options: Namespace, keys: Keys, phase: str | None) -> tuple[Workspace, Settings]:
    """The workspace here and its settings under the keys typed.

    `phase` None is the whole study. Raises InputError for what is unknown or of a wrong type, in
    the phase or in anything upstream of it, before anything is measured.
    """
    from mahals.harness.engines.process import prepare_to_fork
    from mahals.kernels import environment
    from mahals.models.checkpoints.device import may_use_gpu

    workspace, settings = typed_settings(options, keys, phase)
    if not may_use_gpu(settings.run.on, settings.weights):  # whose driver outlives no fork
        prepare_to_fork(environment(settings.weights))  # nothing heavy is imported yet
    with uncollected():
        _check(workspace, settings, [phase] if phase else STUDIES[settings.run.study])
    return workspace, settings


def typed_settings(options: Namespace, keys: Keys, phase: str | None) -> tuple[Workspace, Settings]:
    """`read_settings` without a look at the types of values."""
    from mahals.harness.workspace.paths import Workspace
    from mahals.harness.workspace.settings import load_settings, read_yaml

    workspace = Workspace.locate()
    if phase is not None and phase not in workspace.names:
        raise unknown("phase", phase, workspace.names)
    typed = together(options.set, keys)
    try:
        settings = load_settings(workspace, None, typed, phase)
    except InputError:
        refuse_unknown(typed, read_yaml(workspace.params_file), phase, RESERVED)
        raise
    return workspace, settings


@contextmanager
def uncollected() -> Iterator[None]:
    """For imports, whose objects stay: no collection walks them meanwhile, nor those after it."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _check(workspace: Workspace, settings: Settings, names: Sequence[str]) -> None:
    """Decodes every value that these phases and all upstream of them will ask for."""
    from mahals.harness.engines.pool import ENGINES
    from mahals.harness.workspace.judge_models import check_judges
    from mahals.harness.workspace.model_registry import (
        check_architectures,
        check_models,
        check_organisms,
        check_places,
        load_registry,
    )
    from mahals.harness.workspace.settings import effective, upstream_names

    if settings.run.engine not in ENGINES:
        raise unknown("engine", settings.run.engine, ENGINES)
    registry = load_registry(workspace, settings.run.model)
    check_models(settings.models, registry)
    if settings.weights == "hub":
        check_architectures(settings.models, registry)
        check_places(settings.models, registry, workspace)
    else:
        check_organisms(settings.models, registry)
    _ = settings.device  # refuses one that is not here
    waiting, seen = list(names), set[str]()
    while waiting:
        name = waiting.pop(0)
        if name not in seen:
            seen.add(name)
            phase = workspace.phase(name)
            effective(settings, phase)
            check_judges(settings, phase, registry)
            waiting += upstream_names(phase, settings.weights)


def _units(options: Namespace, workspace: Workspace, settings: Settings) -> tuple[str, ...] | None:
    """The units to measure without a gather; None for all units and the gather."""
    from mahals.harness.workspace.fingerprint import Resolver

    known = Resolver(workspace, settings).units(workspace.phase(options.phase))
    if options.unit is not None:
        if options.unit not in known:
            raise unknown(f"unit of {options.phase}", options.unit, known)
        return (options.unit,)
    return known if options.units_only else None


def _measure(
    workspace: Workspace,
    workers: int,
    units: tuple[str, ...] | None,
    work: Callable[[Session], list[Results]],
    show: Callable[[list[Results], Store | None], None],
) -> None:
    """Runs `work` under a session that MLflow sees, publishes, tells DVC of the results, `show`s.

    As the command of a DVC stage it only runs and shows: DVC itself takes the results, and the
    stage `publish` publishes them.
    """
    from mahals.harness.manifests.dvc_commit import committing, inside_stage
    from mahals.harness.manifests.sources import read_sources
    from mahals.harness.runner.progress import Console, Later, Session, Silent

    if inside_stage():
        show(work(Session(Console(), Silent(), workers, units)), None)
        return
    from mahals.cli.show import Meter, open_store, publish_results
    from mahals.harness.tracking.database import ensure_database
    from mahals.harness.tracking.invocation import open_tracker, opened_run

    def tracker() -> Tracker:
        return open_tracker(ensure_database(workspace.root))

    results = work(Session(Console(), Later(tracker), workers, units))
    store = open_store(workspace)
    with ExitStack() as stack:
        if any(r.is_canonical for r in results):
            _write_board(workspace)
            meter = stack.enter_context(Meter("DVC takes the results"))
            stack.enter_context(committing(read_sources(workspace), meter.wait))
        publish_results(results, store, opened_run())
        show(results, store)


def _write_board(workspace: Workspace) -> None:
    """LEADERBOARD.md follows the canonical results that hold leaderboard entries."""
    from mahals.cli.show import write_page
    from mahals.harness.workspace.results import all_results

    if any(_entries(each for each in all_results(workspace) if each.is_canonical)):
        write_page(workspace)


def _entries(results: Iterable[Results]) -> list[Any]:
    return [entry for each in results for entry in each.summary().entries]


def _figure_folders(results: Iterable[Results]) -> list[Any]:
    return [each.folder / "figures" for each in results if each.figures()]


def _foretold(
    names: Iterable[str], plans: Iterable[Forecast], settings: Settings, workspace: Workspace
) -> list[str]:
    """What phases say of their own design, and how much the resistance study will write."""
    from mahals.cli.answers_ahead import SETTING, ahead_page, answers_ahead
    from mahals.harness.workspace.settings import effective

    lines = []
    for name in names:
        phase = workspace.phase(name)
        said = phase.foretell(effective(settings, phase), settings.models, settings.seed)
        lines += [] if said is None else [f"{said}\n"]
    planned = {item.phase for plan in plans for item in (*plan.upstream, *plan.units)}
    if SETTING in planned:
        phases = [n for n in STUDIES["resistance"] if n in planned]
        sections = {n: effective(settings, workspace.phase(n)) for n in phases}
        found = answers_ahead(sections, settings.weights)
        tokens = sections[SETTING].max_new_tokens[settings.weights]
        lines += ["\n", ahead_page(found, len(settings.models), tokens)]
    return lines
