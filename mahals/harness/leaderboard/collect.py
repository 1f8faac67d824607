"""Entries: which of all stored results make the leaderboard, and how is the whole published?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from mahals.harness.leaderboard.mlflow_runs import write_runs
from mahals.harness.leaderboard.ranking import Board, boards, configuration_key
from mahals.harness.leaderboard.render import Origin
from mahals.harness.leaderboard.saved_view import EXPERIMENT, save_views
from mahals.harness.tracking.database import Store
from mahals.harness.tracking.runs import no_report
from mahals.harness.workspace.results import Results
from mahals.phase import STUDY
from mahals.phases.registry import PHASES
from mahals.schema import Entry


@dataclass(frozen=True)
class Collected:
    """Each configuration once, and where it was measured, by configuration key."""

    entries: tuple[Entry, ...]
    origins: Mapping[str, Origin]


def collect(results: Sequence[Results]) -> Collected:
    """The leaderboard entries of all `results`.

    A configuration that several results measured counts once: canonical results win over other
    ones, a later phase over an earlier one, a gathered study over its units, the newer over
    the older.
    """
    found: dict[str, tuple[Entry, Origin]] = {}
    for item in sorted(results, key=_precedence):
        origin = Origin(item.phase, item.unit, item.fingerprint, item.is_canonical)
        for entry in item.summary().entries:
            found[configuration_key(entry.configuration)] = (entry, origin)
    keys = sorted(found)
    return Collected(tuple(found[k][0] for k in keys), {k: found[k][1] for k in keys})


def _precedence(item: Results) -> tuple[bool, int, bool, str]:
    finished = str(item.run()["finished"])
    place = PHASES.index(item.phase) if item.phase in PHASES else len(PHASES)
    return item.is_canonical, place, item.unit == STUDY, finished


def publish_leaderboard(
    collected: Collected, store: Store, report: Callable[[int, int], None] = no_report
) -> tuple[Board, ...]:
    """Writes every board of `collected` to MLflow: its runs, its saved view, its first line.

    Gives the boards; none for no entries. What is there already and says the same is left alone.
    `report` is told how many lines of all boards are in MLflow, and of how many.
    """
    if not collected.entries:
        return ()
    made = boards(collected.entries)
    experiment = store.experiment(EXPERIMENT)
    total, done = sum(len(board.lines) for board in made), count()

    def line_done() -> None:
        report(next(done), total)

    line_done()
    for board in made:
        write_runs(board, collected.origins, store, experiment, line_done)
    save_views(made, store)
    return made
