"""Which of all stored results make the leaderboard, and how is the whole of it published?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mahals.leaderboard.board import Board, boards, configuration_key
from mahals.leaderboard.runs import write_runs
from mahals.leaderboard.show import Origin, write_markdown
from mahals.leaderboard.view import EXPERIMENT, save_views
from mahals.phase import PHASES, STUDY, Entry
from mahals.tracking.runs import Published, publish
from mahals.tracking.store import Store
from mahals.workspace import Results, Workspace, all_results

PAGE = "benchmarks/LEADERBOARD.md"


@dataclass(frozen=True)
class Collected:
    """Each configuration once, and where it was measured, by configuration key."""

    entries: tuple[Entry, ...]
    origins: Mapping[str, Origin]

    def canonical(self) -> tuple[Entry, ...]:
        """The entries measured with the values of params.yaml: those of LEADERBOARD.md."""
        return tuple(
            e for e in self.entries if self.origins[configuration_key(e.configuration)].canonical
        )


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


@dataclass(frozen=True)
class Refreshed:
    """What `refresh` leaves: the boards, best first, and the page in the repository."""

    boards: tuple[Board, ...]
    published: Published
    page: Path | None  # None while no canonical result has an entry


def refresh(workspace: Workspace, store: Store) -> Refreshed:
    """Publishes every stored result, every board, and writes benchmarks/LEADERBOARD.md.

    Idempotent and without a model: the leaderboard of a fresh clone after `dvc pull`.
    """
    results = all_results(workspace)
    published = publish(results, store)
    collected = collect(results)
    made = publish_leaderboard(collected, store)
    entries = collected.canonical()
    page = workspace.root / PAGE
    if entries:
        write_markdown(boards(entries), collected.origins, page)
    return Refreshed(made, published, page if entries else None)


def publish_leaderboard(collected: Collected, store: Store) -> tuple[Board, ...]:
    """Writes every board of `collected` to MLflow: its runs, its saved view, its first line.

    Gives the boards; none for no entries. What is there already and says the same is left alone.
    """
    if not collected.entries:
        return ()
    made = boards(collected.entries)
    experiment = store.experiment(EXPERIMENT)
    for board in made:
        write_runs(board, collected.origins, store, experiment)
    save_views(made, store)
    return made
