"""Does a solver that breaks or stalls cost its own row alone?"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mahals.maths.games.game import pure_equilibria, pure_profile
from mahals.maths.games.solvers import Search, ask, mixed_equilibria
from tests.support.textbook_games import (
    COST,
    HOW,
    PENNIES,
    game,
    mixed,
    threshold_goods,
    volunteers,
)


def test_three_players_of_two_actions_need_no_library() -> None:
    """The volunteers: all three mix, or two of them while the third stays away."""
    found = mixed_equilibria(volunteers(), HOW)
    assert [(s.solver, s.status, s.kept) for s in found.solvers] == [
        ("support_enumeration", "ran", 4)
    ]
    assert found.complete and len(found.profiles) == 4
    root = np.sqrt(COST)
    wanted = [[root, 1 - root]] * 3
    assert any(np.allclose(np.array(p), wanted, atol=1e-9) for p in found.profiles)


@pytest.mark.slow
def test_quantecon_finds_nothing_that_the_enumeration_has_not() -> None:
    """Another algorithm on the threshold game and on drawn ones of three and four players."""
    pytest.importorskip("quantecon")
    rng = np.random.default_rng(4)
    games = [threshold_goods(0.3)]
    games += [game(rng.normal(size=(n, *(2,) * n))) for n in (3, 3, 3, 4, 4)]
    for of in games:
        known = [np.concatenate(p) for p in mixed_equilibria(of, HOW).profiles]
        known += [np.concatenate(pure_profile(of.shape, j)) for j in pure_equilibria(of)]
        theirs = mixed(of, "quantecon.mclennan_tourky")
        for profile in theirs:
            assert min(np.abs(np.concatenate(profile) - k).max() for k in known) < 1e-5


@pytest.mark.slow
def test_where_the_enumeration_may_miss_some_quantecon_is_asked() -> None:
    pytest.importorskip("quantecon")
    three = game(np.random.default_rng(2).normal(size=(3, 3, 2, 2)))
    found = mixed_equilibria(three, HOW)
    own, other = found.solvers
    assert own.reason == "supports of three actions and more are left out" and not found.complete
    assert (other.solver, other.status) == ("quantecon.mclennan_tourky", "ran")


def planted(folder: Path, name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of that name that is found before any other."""
    (folder / f"{name}.py").write_text(text)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("import os; os._exit(11)", "died", "exit 11"),
        ("raise ValueError('no licence')", "died", "no licence"),
        ("import time; time.sleep(60)", "timed_out", "no answer in"),
    ],
)
def test_a_broken_gambit_costs_its_row_alone(tmp_path, monkeypatch, text, status, said) -> None:
    planted(tmp_path, "pygambit", text, monkeypatch)
    seconds = 4.0 if status == "timed_out" else 120.0
    (row,) = ask(["pygambit.logit_solve"], PENNIES.payoffs, Search(seconds, 1, 0, True))
    assert row.status == status and said in str(row.reason)


def test_what_was_answered_before_a_crash_is_kept(tmp_path, monkeypatch) -> None:
    """One process for all: the first answers, the second dies."""
    text = """
class Game:
    def __init__(self, a, b): pass
    def support_enumeration(self):
        print("chatter of the library")
        return [([1, 0], [0, 1])]
    def vertex_enumeration(self):
        import os
        os._exit(3)
"""
    planted(tmp_path, "nashpy", text, monkeypatch)
    names = ["nashpy.support_enumeration", "nashpy.vertex_enumeration"]
    answers = ask(names, PENNIES.payoffs, Search(120.0, 1, 0, False))
    assert [a.status for a in answers] == ["ran", "died"]
    assert answers[0].found == [[[1.0, 0.0], [0.0, 1.0]]]
    found = mixed_equilibria(PENNIES, Search(120.0, 1, 0, False))
    assert [(s.status, s.found, s.kept) for s in found.solvers] == [
        ("ran", 1, 0), ("died", None, None),
    ]  # fmt: skip
