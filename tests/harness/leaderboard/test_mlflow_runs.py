"""Runs of the board: is there one for each line, replaced and never doubled?"""

from __future__ import annotations

from dataclasses import replace

from mahals.harness.leaderboard.ranking import label
from mahals.harness.leaderboard.saved_view import EXPERIMENT
from mahals.harness.tracking.database import Store
from mahals.schema import AXIOM_COLUMNS, COLUMNS
from tests.support.published_boards import line_of, publish, shown_runs
from tests.support.synthetic_results import board_entries, entry


def test_runs_are_replaced_and_never_doubled(store: Store) -> None:
    entries = board_entries(30)
    board = publish(entries, store)[0]
    first = shown_runs(store)
    assert len(first) == 30
    publish(entries, store)
    assert shown_runs(store) == first
    lost = line_of(board, board.ranked[0].entry.configuration).entry
    changed = [
        e if e is not lost else entry(lost.configuration, -0.5, over_ceiling=()) for e in entries
    ]
    publish(changed[:-1], store)
    second = shown_runs(store)
    assert len(second) == 29
    assert "rank" not in second[label(lost.configuration)]
    ranks = sorted(m["rank"] for m in second.values() if "rank" in m)
    assert ranks == list(range(1, len(ranks) + 1))


def test_every_run_has_the_same_columns_or_the_reason(store: Store) -> None:
    publish(board_entries(30), store)
    runs = store.client.search_runs([store.experiment(EXPERIMENT)], max_results=5000)
    for run in runs:
        reasons = {k[7:] for k in run.data.tags if k.startswith("reason.")}
        assert set(run.data.metrics) - {"q", "rank", "position"} | reasons == set(COLUMNS)
        assert not set(run.data.metrics) & reasons
        assert run.info.status == "FINISHED"


def test_categories_of_the_data_have_columns_in_place_of_the_axioms(store: Store) -> None:
    own = ("aqi_homonyms", "aqi_privacy")
    entries = [
        replace(
            e,
            metrics={k: v for k, v in e.metrics.items() if k not in AXIOM_COLUMNS}
            | dict.fromkeys(own, 1.5),
            weakest_axiom="privacy",
        )
        for e in board_entries(5)
    ]
    publish(entries, store)
    for run in store.client.search_runs([store.experiment(EXPERIMENT)], max_results=5000):
        said = {*run.data.metrics, *(k.removeprefix("reason.") for k in run.data.tags)}
        assert set(own) <= set(run.data.metrics) and not said & set(AXIOM_COLUMNS)
        assert run.data.tags["weakest_axiom"] == "privacy"
