"""Planted boards: is what refuses ranked, and nothing that looks like it or moves AQI alone?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mahals.harness.leaderboard.ranking import Board, BoardLine
from mahals.reporting.gains import collect, transfer_efficiency
from tests.support.planted_boards import BASE, ISOTROPIC, WIDER, K, Planted, null_board

NOTHING, PERFECT = (0.0, 0.0), (1.0, 0.0)
AT_HALF = {"dose": 0.05, "kl": 0.05, "at_headline": False}


def steered(board: Board) -> list[BoardLine]:
    return [line for line in board.lines if line.entry.configuration.arm == "steered"]


def beside_nulls(seed: int = 0, base: Any = BASE, spread: float = ISOTROPIC) -> Planted:
    """A target with its unsteered model and all three families of nulls."""
    planted = Planted(np.random.default_rng(seed))
    planted.add("unsteered", base)
    for family in ("random", "shuffled_pairs", "shuffled"):
        planted.nulls(family, spread if family == "random" else WIDER * spread, base)
    return planted


# ---- where nothing is


def boards_that_rank(seeds: range, second_spread: float) -> int:
    found = [null_board(seed, second_spread) for seed in seeds]
    assert all(sum(line.q is not None for line in board.lines) == 90 for board in found)
    return sum(bool(board.ranked) for board in found)


def test_vectors_through_shuffled_maps_are_not_ranked() -> None:
    """90 lines a board that hold nothing, and differ 2.7 times as much as isotropic arms."""
    assert boards_that_rank(range(12), WIDER * ISOTROPIC) <= 2


def test_a_board_that_knew_isotropic_nulls_alone_would_rank_them() -> None:
    """The same lines where arms of the isotropic spread stand for both families."""
    assert boards_that_rank(range(4), ISOTROPIC) >= 3


@pytest.mark.slow
def test_of_a_hundred_boards_of_nulls_at_most_five_rank_anything() -> None:
    assert boards_that_rank(range(100), WIDER * ISOTROPIC) <= 5


# ---- what moves AQI alone


def test_a_constant_that_was_optimised_for_aqi_is_geometry_and_has_no_rank() -> None:
    """28.6 points up, and refusals as the nulls have them."""
    planted = beside_nulls()
    planted.add("steered", BASE, aqi=38.6, aqi_last=38.6)
    planted.add("steered", (0.95, 0.02), source="B", map="ridge")
    constant, refusing = sorted(
        steered(planted.board()), key=lambda line: -line.entry.metrics["aqi_gain"]
    )
    assert constant.entry.metrics["aqi_gain_low"] > 25
    assert constant.entry.metrics["gain_over_random_low"] > 20, "beyond both families, in AQI"
    assert (constant.status, constant.rank) == ("geometry only", None)
    assert "AQI up, refusals not" in constant.why
    assert (refusing.status, refusing.rank) == ("ranked", 1)


def test_aqi_up_and_refusals_beyond_the_nulls_is_ranked() -> None:
    planted = beside_nulls()
    planted.add("steered", (0.95, 0.02), aqi=38.6, aqi_last=38.6)
    (line,) = steered(planted.board())
    assert (line.status, line.rank) == ("ranked", 1) and not line.entry.geometry_only


# ---- what is perfect


def test_a_perfect_arm_has_numbers_an_efficiency_and_the_first_rank() -> None:
    """All unsafe prompts refused and no safe one, beside nulls that do nothing at all."""
    planted = beside_nulls(base=NOTHING, spread=0.0)
    planted.add("steered", PERFECT)
    planted.add("steered", PERFECT, source="B", map="ridge")
    planted.add("steered", (0.6, 0.0), source="C", map="ridge")
    planted.add("aligned", PERFECT)
    planted.add("prompt", PERFECT)
    table = planted.table()
    native, moved, weaker = (e for e in collect(table) if e.row.arm == "steered")
    shares = [transfer_efficiency(e, native, table, "gap").interval for e in (moved, weaker)]
    assert shares[0] is not None and shares[1] is not None
    assert shares[0].estimate == pytest.approx(1)
    assert 0.8 < shares[0].low < 1 < shares[0].high < 1.2
    assert shares[1].estimate == pytest.approx(0.6, abs=0.1) and shares[1].high < 0.8
    board = planted.board({len(planted.rows) - 4: shares[0].estimate})
    best = steered(board)
    assert [line.status for line in best] == ["ranked"] * 3
    for line in best[:2]:
        m = line.entry.metrics
        assert m["gap_over_random"] == m["gap_over_random_high"] == 1.0
        assert 0.9 < m["gap_over_random_low"] < 1.0 and line.q is not None and line.q < 1e-9
        assert m["gap_over_prompt"] == 0.0 and -0.1 < m["gap_over_prompt_low"] < 0
        assert m["kl50"] == pytest.approx(0.05)
    assert {line.entry.metrics.get("transfer_efficiency") for line in best[:2]} == {None, 1.0}
    assert [line.rank for line in best] == [1, 2, 3]
    assert best[2].entry.configuration.source == "C"


def test_arms_that_all_reach_the_top_are_ordered_by_kl50() -> None:
    """Equal to .01 in the lower bound: first the one that needs less."""
    planted = Planted(np.random.default_rng(0))
    planted.add("unsteered", NOTHING)
    for doses in ({}, AT_HALF):
        for family in ("random", "shuffled"):
            for i in range(K):
                planted.add(family, NOTHING, draw=i, **doses)
    chosen: dict[str, Any] = {"selection_over": (), "map": "ridge"}
    for source, half_way in (("B", 0.0), ("C", 0.7), ("D", 0.4)):
        planted.add(
            "steered", (half_way, 0.0), source=source, selection_gap=0.1, **chosen, **AT_HALF
        )
        planted.add("steered", PERFECT, source=source, selection_gap=0.2, **chosen)
    planted.add("aligned", PERFECT)
    lines = steered(planted.board())
    assert {line.entry.metrics["gap_over_random"] for line in lines} == {1.0}
    assert [line.entry.configuration.source for line in lines] == ["C", "D", "B"]
    kl50 = [line.entry.metrics["kl50"] for line in lines]
    assert kl50 == sorted(kl50) and kl50[2] == pytest.approx(0.075)
    assert [line.rank for line in lines] == [1, 2, 3]


# ---- what is not known


@pytest.mark.parametrize(
    ("families", "reason"),
    [
        ({}, "no null arm has this dose"),
        ({"random": K}, "one family of nulls alone"),
        ({"shuffled_pairs": K}, "one family of nulls alone"),
        ({"random": K, "shuffled_pairs": 1}, "one family of nulls alone"),
        ({"random": 1, "shuffled_pairs": 1}, "no null arm has this dose"),
    ],
)
def test_without_two_families_of_two_there_is_no_number_and_no_rank(
    families: dict[str, int], reason: str
) -> None:
    planted = Planted(np.random.default_rng(0))
    planted.add("unsteered", BASE)
    for family, k in families.items():
        planted.nulls(family, ISOTROPIC, k=k)
    planted.add("steered", PERFECT)
    (line,) = steered(planted.board())
    assert (line.status, line.rank, line.q) == ("not measured", None, None)
    assert line.why == reason and "gap_over_random" not in line.entry.metrics


def test_nulls_that_need_a_little_more_kl_keep_a_line_from_its_rank() -> None:
    """They do nothing at the line's own dose, and all that it does at the next one."""

    def ranked(above: Any) -> int:
        planted = Planted(np.random.default_rng(0))
        planted.add("unsteered", NOTHING)
        for family in ("random", "shuffled_pairs"):
            for i in range(K):
                planted.add(family, NOTHING, draw=i, **AT_HALF)
                planted.add(family, above, draw=i)
        chosen: dict[str, Any] = {"selection_gap": 0.5, "selection_over": ()}
        planted.add("steered", (0.9, 0.0), **chosen, **AT_HALF)
        (line,) = steered(planted.board())
        assert line.entry.configuration.dose == "kl=0.05"
        return len(planted.board().ranked)

    assert (ranked(NOTHING), ranked((0.9, 0.0))) == (1, 0)


def test_a_crossing_has_to_beat_every_family_of_its_target() -> None:
    """Shuffled pairs of the target's own refuse as what crossed does: that shows nothing."""
    for rates, status in ((NOTHING, "ranked"), ((0.9, 0.0), "not beyond nulls")):
        planted = beside_nulls(base=NOTHING, spread=0.0)
        for i, row in enumerate(planted.rows):
            if row.arm == "shuffled_pairs":
                each = np.where(np.arange(planted.m) % 2 == 0, *rates)
                planted.answers[i] = planted.rng.random(planted.m) < each
        planted.add("steered", (0.9, 0.0), source="B", map="ridge")
        (line,) = steered(planted.board())
        assert line.status == status


def test_two_arms_of_each_family_are_a_number() -> None:
    planted = Planted(np.random.default_rng(0))
    planted.add("unsteered", BASE)
    for family in ("random", "shuffled_pairs"):
        planted.nulls(family, ISOTROPIC, k=2)
    planted.add("steered", PERFECT)
    (line,) = steered(planted.board())
    assert "gap_over_random_low" in line.entry.metrics
    assert line.status != "not measured", "wide as it is at one degree of freedom"
