"""Does the board rank what beats its random control at an allowed price, and nothing else?"""

from __future__ import annotations

import itertools
import json
import random
from argparse import Namespace
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import pytest
from scipy import stats

from mahals.cli import show as showing
from mahals.evaluation.suite import Ceiling
from mahals.harness.leaderboard.collect import Collected, collect, publish_leaderboard
from mahals.harness.leaderboard.ranking import (
    BOUNDED,
    CONTROLS,
    ORGANISERS,
    Board,
    BoardLine,
    boards,
    configuration_key,
    label,
    rank,
)
from mahals.harness.leaderboard.render import HEADS, Origin, terminal_table, write_markdown
from mahals.harness.leaderboard.saved_view import (
    EXPERIMENT,
    NOTE,
    SHARED_VIEW,
    view_id,
    view_state,
    view_url,
)
from mahals.harness.manifests.dvc_stages import BOARD
from mahals.harness.tracking.database import Store
from mahals.harness.workspace.results import all_results
from mahals.records import InputError
from mahals.schema import COLUMNS, ArmKind, Configuration, Entry
from tests.support.synthetic_results import (
    DEGREES,
    MODELS,
    SUITE,
    Made,
    board_entries,
    empty_store,
    entry,
    organiser,
    steered,
    workspace,
    write_results,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return empty_store(tmp_path_factory.mktemp("project"))


def line_of(board: Board, configuration: Configuration) -> BoardLine:
    return next(line for line in board.lines if line.entry.configuration == configuration)


def shown_runs(store: Store) -> dict[str, dict[str, float]]:
    """Metrics by run name of every active run of the leaderboard."""
    runs = store.client.search_runs([store.experiment(EXPERIMENT)], max_results=5000)
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {run.info.run_name: dict(run.data.metrics) for run in runs}


def publish(entries: list[Entry], store: Store) -> tuple[Board, ...]:
    keys = [configuration_key(e.configuration) for e in entries]
    origin = Origin("same_arch", "Mistral_7B", "f" * 64, True)
    found = Collected(tuple(entries), dict.fromkeys(keys, origin))
    return publish_leaderboard(found, store)


def test_ranks_by_the_lower_bound_under_all_conditions() -> None:
    good = [steered(layers=(i,)) for i in range(3)]
    entries = [
        entry(good[0], 6.0),
        entry(good[1], 9.0),
        entry(good[2], 7.5),
        entry(steered(dose="lambda=1"), 12.0, over_ceiling=("perplexity_ratio",)),
        entry(steered(dose="lambda=2"), 11.0, geometry_only=True),
        entry(steered(arm="flipped"), 10.0),
        entry(steered("Qwen2_7B"), 0.3),
        entry(steered("Falcon_7B"), -9.0),
        entry(steered("Gemma2_9B"), None),
        *(entry(organiser("Mistral_7B", arm), None) for arm in ORGANISERS),
    ]
    board = rank(entries)
    assert [line.entry.configuration for line in board.ranked] == [good[1], good[2], good[0]]
    assert [line.rank for line in board.ranked] == [1, 2, 3]
    assert line_of(board, steered(dose="lambda=1")).status == "over ceiling"
    assert line_of(board, steered(dose="lambda=2")).status == "geometry only"
    assert line_of(board, steered(arm="flipped")).status == "control"
    assert line_of(board, steered("Qwen2_7B")).status == "not beyond random"
    assert line_of(board, steered("Falcon_7B")).status == "not beyond random"  # worse than random
    assert line_of(board, steered("Gemma2_9B")).status == "not measured"
    assert board.headline.startswith("3 of 7 configurations beat")
    assert all(line.status == "organiser" for line in board.lines[-4:])
    assert all(line.why for line in board.lines if line.rank is None)


def test_q_is_benjamini_hochberg_over_all_lines_with_a_p() -> None:
    gains = [6.0, 3.0, 2.4, 2.2, 0.1]
    over = ("kl",)  # over the ceiling or not, a test is a test
    entries = [entry(steered(layers=(i,)), g, over_ceiling=over) for i, g in enumerate(gains)]
    board = rank([*entries, entry(organiser("Mistral_7B", "unsteered"), None)])
    p = [2 * stats.t.sf(g, DEGREES) for g in gains]
    expected = stats.false_discovery_control(p)
    got = [line_of(board, e.configuration).q for e in entries]
    assert got == pytest.approx(list(expected))
    assert line_of(board, organiser("Mistral_7B", "unsteered")).q is None


def test_a_false_family_takes_the_rank_away() -> None:
    alone = rank([entry(steered(), 2.3)])
    assert len(alone.ranked) == 1
    crowd = [entry(steered(layers=(i,)), 0.1) for i in range(10, 40)]
    assert rank([entry(steered(), 2.3), *crowd]).ranked == ()


def test_nothing_beyond_random_ranks_nothing_and_says_so_first(tmp_path: Path) -> None:
    entries = [entry(steered(layers=(i,)), 0.2 * i) for i in range(5)]
    board = rank([*entries, entry(organiser("Mistral_7B", "unsteered"), None)])
    assert board.ranked == ()
    assert board.headline.startswith("No configuration beats its random control (0 of 5")
    assert terminal_table(board, 10).splitlines()[0] == board.headline
    page = write_markdown([board], {}, tmp_path / "L.md").read_text()
    assert board.headline in page
    assert "### Ranked" not in page


def test_the_price_is_named_when_only_the_price_is_too_high() -> None:
    board = rank([entry(steered(), 9.0, over_ceiling=("perplexity_ratio",))])
    assert board.ranked == ()
    assert "at an allowed price (1 over ceiling, of 1)" in board.headline


@pytest.mark.parametrize("bound", [f.name for f in fields(Ceiling)])
def test_a_price_that_was_not_measured_is_not_an_allowed_one(bound: str) -> None:
    good = entry(steered(), 9.0)
    assert len(rank([good]).ranked) == 1
    without = {k: v for k, v in good.metrics.items() if k != bound}
    reasons = {**good.reasons, bound: "the data source has none"}
    (line,) = rank([replace(good, metrics=without, reasons=reasons)]).lines
    assert (line.rank, line.status) == (None, "not measured")
    assert line.why == f"price not measured: {bound} (the data source has none)"
    assert line.q is not None, "it stays in the family of tests"
    over = replace(good, metrics=without, reasons=reasons, over_ceiling=("x",))
    assert rank([over]).lines[0].status == "over ceiling"


def test_every_kind_of_arm_is_steered_a_control_or_the_organisers() -> None:
    kinds = [*CONTROLS, *ORGANISERS, "steered"]
    assert len(kinds) == len(set(kinds)) and set(kinds) == set(get_args(ArmKind))
    assert set(BOUNDED) == {f.name for f in fields(Ceiling)}


def test_the_best_is_said_to_be_a_maximum() -> None:
    headline = rank([entry(steered(layers=(i,)), 6.0 + i) for i in range(3)]).headline
    assert "Best: " in headline and "optimistic as an estimate" in headline


def test_the_order_of_the_entries_does_not_matter() -> None:
    entries = board_entries(60)
    shuffled = random.Random(3).sample(entries, len(entries))
    assert rank(entries) == rank(shuffled)


def test_one_view_is_one_suite_and_one_kind_of_weights() -> None:
    mixed = [entry(steered(), 5.0), entry(steered(weights="hub"), 5.0)]
    with pytest.raises(InputError, match="one suite and one kind of weights"):
        rank(mixed)
    assert [b.weights for b in boards(mixed)] == ["hub", "organism"]
    other = entry(steered(suite="core-2 11"), 5.0)
    assert [b.suite for b in boards([mixed[0], other])] == [SUITE, "core-2 11"]


def test_bad_boards_are_refused() -> None:
    with pytest.raises(InputError, match="at least one measured configuration"):
        rank([])
    with pytest.raises(InputError, match="twice"):
        rank([entry(steered(), 1.0), entry(steered(), 2.0)])
    odd = entry(steered(), 1.0)
    with pytest.raises(InputError, match="unknown leaderboard column"):
        rank([replace(odd, metrics={**odd.metrics, "aqui": 1.0})])


def test_markdown_is_the_same_bytes_and_names_the_commands(tmp_path: Path) -> None:
    board = rank(board_entries(40))
    keys = (configuration_key(line.entry.configuration) for line in board.lines)
    origin = Origin("cross_arch", "Mistral_7B", "f" * 64, True)
    origins = dict.fromkeys(keys, origin)
    one = write_markdown([board], origins, tmp_path / "a.md").read_bytes()
    two = write_markdown([board], origins, tmp_path / "b.md").read_bytes()
    assert one == two
    text = one.decode()
    assert "GENERATED" in text
    assert "    mlflow run . -e cross_arch -P weights=organism" in text
    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert {row.count("|") for row in rows} == {len(HEADS) + 1}
    ranked = [row for row in rows if row.split("|")[1].strip().isdigit()]
    assert len(ranked) == len(board.ranked) > 0


def test_terminal_table_shows_the_top_and_the_organisers() -> None:
    board = rank(board_entries(60))
    text = terminal_table(board, 5)
    assert text.count("organisers'") == 18
    assert f"and {60 - 18 - 5} more configurations" in text


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


def test_the_view_is_what_the_ui_reads(store: Store) -> None:
    board = publish(board_entries(30), store)[0]
    experiment = store.client.get_experiment(store.experiment(EXPERIMENT))
    assert board.headline in experiment.tags[NOTE]
    envelope = json.loads(experiment.tags[SHARED_VIEW + view_id(board.weights, board.suite)])
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
    assert f"viewStateShareKey={view_id(board.weights, board.suite)}" in address.url


def test_two_suites_have_two_views_and_keep_their_own_lines(store: Store) -> None:
    both = [*board_entries(20), *board_entries(20, weights="hub")]
    publish(both, store)
    tags = store.client.get_experiment(store.experiment(EXPERIMENT)).tags
    assert {k for k in tags if k.startswith(SHARED_VIEW)} >= {
        SHARED_VIEW + view_id(weights, SUITE) for weights in ("hub", "organism")
    }
    for board in boards(both):
        found = store.client.search_runs(
            [store.experiment(EXPERIMENT)], str(view_state(board)["searchFilter"])
        )
        assert len(found) == 20


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


def test_the_page_in_git_outlives_a_publish_without_results_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, page = workspace(tmp_path), tmp_path / BOARD
    page.parent.mkdir(exist_ok=True)
    page.write_text("what was committed")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="stored results: expected those of a study, got none"):
        showing.publish(Namespace(), {})
    write_results(place, Made(canonical=False, entries=[entry(steered(), 6.0)]))
    assert showing.publish(Namespace(), {}) == 0
    assert page.read_text() == "what was committed"
    write_results(place, Made(entries=[entry(steered(), 6.0)]))
    assert showing.publish(Namespace(), {}) == 0
    assert "Mistral_7B" in page.read_text()


def test_stored_results_give_the_whole_leaderboard(tmp_path: Path) -> None:
    place, own = workspace(tmp_path), empty_store(tmp_path)
    assert publish_leaderboard(collect(all_results(place)), own) == ()
    for target in MODELS[:2]:
        write_results(place, Made(unit=target, entries=[entry(steered(target), 6.0)]))
    for _ in range(2):
        board = publish_leaderboard(collect(all_results(place)), own)[0]
        assert len(board.ranked) == 2
        assert len(shown_runs(own)) == 2
