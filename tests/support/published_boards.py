"""Published boards: how do entries get into a store, and which runs does it show?"""

from __future__ import annotations

from mahals.harness.leaderboard.collect import Collected, publish_leaderboard
from mahals.harness.leaderboard.ranking import Board, BoardLine, line_key
from mahals.harness.leaderboard.render import Origin
from mahals.harness.leaderboard.saved_view import EXPERIMENT
from mahals.harness.tracking.database import Store
from mahals.schema import Configuration, Entry


def line_of(board: Board, configuration: Configuration) -> BoardLine:
    return next(line for line in board.lines if line.entry.configuration == configuration)


def shown_runs(store: Store) -> dict[str, dict[str, float]]:
    """Metrics by run name of every active run of the leaderboard."""
    runs = store.client.search_runs([store.experiment(EXPERIMENT)], max_results=5000)
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {run.info.run_name: dict(run.data.metrics) for run in runs}


def publish(entries: list[Entry], store: Store) -> tuple[Board, ...]:
    keys = [line_key(e) for e in entries]
    origin = Origin("same_arch", "Mistral_7B", "f" * 64, True)
    found = Collected(tuple(entries), dict.fromkeys(keys, origin))
    return publish_leaderboard(found, store)
