"""Saved view: is it what the UI reads, one for each suite and kind of weights?"""

from __future__ import annotations

import json
from dataclasses import replace

from mahals.harness.leaderboard.ranking import boards, label
from mahals.harness.leaderboard.saved_view import (
    EXPERIMENT,
    NOTE,
    SHARED_VIEW,
    view_id,
    view_state,
    view_url,
)
from mahals.harness.tracking.database import Store
from tests.support.published_boards import publish
from tests.support.synthetic_results import board_entries


def test_the_view_is_what_the_ui_reads(store: Store) -> None:
    board = publish(board_entries(30), store)[0]
    experiment = store.client.get_experiment(store.experiment(EXPERIMENT))
    assert board.headline in experiment.tags[NOTE]
    envelope = json.loads(experiment.tags[SHARED_VIEW + view_id(board)])
    assert set(envelope) == {"name", "createdAt", "state"}
    state = view_state(board)
    found = store.client.search_runs(
        [experiment.experiment_id],
        str(state["searchFilter"]),
        order_by=[f"{state['orderByKey']} ASC"],
    )
    assert [run.info.run_name for run in found] == [
        label(line.entry.configuration) for line in board.lines
    ]
    address = view_url(board, store, 5000)
    assert address.command is not None and store.uri in address.command
    assert f"viewStateShareKey={view_id(board)}" in address.url


def test_two_suites_or_trainings_have_two_views_and_keep_their_own_lines(store: Store) -> None:
    again = [replace(e, training=1) for e in board_entries(20)]
    both = [*board_entries(20), *again, *board_entries(20, weights="hub")]
    publish(both, store)
    tags = store.client.get_experiment(store.experiment(EXPERIMENT)).tags
    assert {k for k in tags if k.startswith(SHARED_VIEW)} >= {
        SHARED_VIEW + view_id(board) for board in boards(both)
    }
    assert len(boards(both)) == 3
    for board in boards(both):
        found = store.client.search_runs(
            [store.experiment(EXPERIMENT)], str(view_state(board)["searchFilter"])
        )
        assert len(found) == 20
