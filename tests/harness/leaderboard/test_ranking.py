"""Ranking: does the board rank what beats its random control at an allowed price, and no more?"""

from __future__ import annotations

import random
from dataclasses import fields, replace
from pathlib import Path
from typing import get_args

import pytest
from scipy import stats

from mahals.evaluation.suite import Ceiling
from mahals.harness.leaderboard.ranking import BOUNDED, CONTROLS, ORGANISERS, boards, rank
from mahals.harness.leaderboard.render import terminal_table, write_markdown
from mahals.records import InputError
from mahals.schema import ArmKind
from tests.support.published_boards import line_of
from tests.support.synthetic_results import DEGREES, SUITE, board_entries, entry, organiser, steered


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
