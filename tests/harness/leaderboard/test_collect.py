"""Collecting: do stored results give the whole board, canonical ones first?"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

from mahals.harness.leaderboard.collect import Collected, collect, publish_leaderboard
from mahals.harness.leaderboard.ranking import boards
from mahals.harness.workspace.results import all_results
from mahals.schema import claim_of
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


def test_weights_of_another_precision_stand_on_a_board_of_their_own(tmp_path: Path) -> None:
    place = workspace(tmp_path)
    line = entry(steered(weights="hub"), 1.0)
    made = [
        write_results(place, Made(entries=[line], canonical=False, weights="hub", device=device))
        for device in ({}, {"dtype": "bfloat16"}, {"dtype": "bfloat16", "quantize": "8bit"})
    ]
    for order in itertools.permutations(made):
        found = [board.weights for board in boards(collect(order).entries)]
        assert found == ["hub", "hub 8bit", "hub bfloat16"]


def test_stored_results_give_the_whole_leaderboard(tmp_path: Path) -> None:
    place, own = workspace(tmp_path), empty_store(tmp_path)
    assert publish_leaderboard(collect(all_results(place)), own) == ()
    for target in MODELS[:2]:
        write_results(place, Made(unit=target, entries=[entry(steered(target), 6.0)]))
    for _ in range(2):
        board = publish_leaderboard(collect(all_results(place)), own)[0]
        assert len(board.ranked) == 2
        assert len(shown_runs(own)) == 2


def test_a_line_says_in_how_many_trainings_it_holds_and_those_of_others_are_no_lines(
    tmp_path: Path,
) -> None:
    place, target = workspace(tmp_path), MODELS[0]
    own = write_results(place, Made(entries=[entry(steered(vector="a" * 12), 1.0)]))
    changed = steered(vector="a" * 12, method="pca")  # measured in one training alone
    apart = write_results(place, Made(phase="cross_arch", entries=[entry(changed, 1.0)]))
    other = Made(entries=[entry(steered(vector="b" * 12), 9.0)], canonical=False)
    further = write_results(place, other)
    claim = entry(claim_of(steered(dose="kl=0.2")), None)  # the other chose another dose
    shared = replace(claim, metrics={"trainings_held": 1.0})
    over = write_results(place, Made("replication", "study", [shared]))
    unjoined = collect([own, apart, further])
    assert len(unjoined.entries) == 3 and all(not o.trainings for o in unjoined.origins.values())
    run = json.loads((over.folder / "run.json").read_text())
    run["trainings"] = {"10": [further.fingerprint], "9": [own.fingerprint, apart.fingerprint]}
    (over.folder / "run.json").write_text(json.dumps(run))
    alien = steered(vector="c" * 12)  # another vector, which those trainings do not have
    foreign = write_results(place, Made(entries=[entry(alien, 2.0)], canonical=False))
    for order in itertools.permutations([own, apart, further, over, foreign]):
        found = collect(order)
        held = {e.configuration: e.metrics.get("trainings_held") for e in found.entries}
        assert held == {steered(target, vector="a" * 12): 1.0, changed: None, alien: None}
        assert sorted(o.trainings for o in found.origins.values()) == ["", "", "1 of 2"]
