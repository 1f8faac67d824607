"""Collecting: do stored results give the whole board, canonical ones first?"""

from __future__ import annotations

import itertools
from pathlib import Path

from mahals.harness.leaderboard.collect import Collected, collect, publish_leaderboard
from mahals.harness.workspace.results import all_results
from tests.support.published_boards import shown_runs
from tests.support.synthetic_results import (
    MODELS,
    Made,
    board_entries,
    empty_store,
    entry,
    steered,
    workspace,
    write_results,
)


def test_lines_of_all_boards_are_counted_together(tmp_path: Path) -> None:
    both = [*board_entries(20), *board_entries(20, weights="hub")]
    found, told = Collected(tuple(both), {}), list[tuple[int, int]]()
    publish_leaderboard(found, empty_store(tmp_path), lambda *step: told.append(step))
    assert told == [(done, 40) for done in range(41)]


def test_collect_prefers_canonical_and_gathered_results(tmp_path: Path) -> None:
    place = workspace(tmp_path)
    values = {"limited": (False, 1.0), "canonical": (True, 2.0)}
    made = [
        write_results(place, Made(entries=[entry(steered(), gain)], canonical=canonical))
        for canonical, gain in values.values()
    ]
    for order in itertools.permutations(made):
        found = collect(order)
        assert [e.metrics["gain_over_random"] for e in found.entries] == [2.0]
        assert [o.canonical for o in found.origins.values()] == [True]
    study = write_results(place, Made(unit="study", entries=[entry(steered(), 3.0)]))
    assert collect([study, *made]).entries[0].metrics["gain_over_random"] == 3.0


def test_stored_results_give_the_whole_leaderboard(tmp_path: Path) -> None:
    place, own = workspace(tmp_path), empty_store(tmp_path)
    assert publish_leaderboard(collect(all_results(place)), own) == ()
    for target in MODELS[:2]:
        write_results(place, Made(unit=target, entries=[entry(steered(target), 6.0)]))
    for _ in range(2):
        board = publish_leaderboard(collect(all_results(place)), own)[0]
        assert len(board.ranked) == 2
        assert len(shown_runs(own)) == 2
