"""Does a solver that breaks or stalls cost its own row alone?"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mahals.maths.games.solvers import Search, ask, mixed_equilibria
from tests.support.textbook_games import COST, HOW, PENNIES, volunteers


@pytest.mark.slow
def test_quantecon_finds_the_volunteers() -> None:
    pytest.importorskip("quantecon")
    found = mixed_equilibria(volunteers(), HOW)
    (row,) = found.solvers
    assert row.status == "ran", row
    assert row.kept is not None and row.kept >= 1
    root = np.sqrt(COST)
    wanted = [[root, 1 - root]] * 3
    assert any(np.allclose(np.array(p), wanted, atol=1e-6) for p in found.profiles)


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
