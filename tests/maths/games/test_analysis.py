"""Does an analysis hold each point of a game, also where solvers are absent?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from mahals.maths.games.analysis import GameLabels, analyse, measured_games
from mahals.maths.games.solvers import Search
from mahals.maths.stats.bootstrap import Resampling
from mahals.records import InputError
from tests.support.payoff_cells import WEIGHTS, cells
from tests.support.textbook_games import HOW, PENNIES, PRISONERS


def test_a_solver_that_is_absent_is_a_row(monkeypatch) -> None:
    monkeypatch.setattr("mahals.maths.games.solvers.installed", lambda library: False)
    absent = analyse(PRISONERS, None, HOW)
    assert [s.status for s in absent.solvers] == ["absent", "absent"]
    assert "extra `games`" in str(absent.solvers[0].reason)
    assert [p.kind for p in absent.points] == ["pure"]
    assert absent.anarchy is not None and absent.points[0].exploitability == 0.0
    assert analyse(PENNIES, None, HOW).anarchy is None


def test_a_measured_game_and_its_axioms(monkeypatch) -> None:
    monkeypatch.setattr(
        "mahals.maths.games.solvers.installed", lambda library: False
    )  # pure equilibria alone
    table = GameLabels(("A", "B"), (("0", "1"), ("0", "1", "2")), ("first", "second"))
    how = Search(60.0, 1, 0, False)
    found = measured_games(cells(), table, WEIGHTS, Resampling(60, 1), how)
    assert list(found) == ["all", "first", "second"]
    for one in found.values():
        assert [s.status for s in one.solvers] == ["absent", "absent"]
        assert all(p.stability is not None and p.exploitability < 1e-6 for p in one.points)
    with pytest.raises(InputError, match="3 axioms"):
        measured_games(
            cells(), replace(table, axioms=("a", "b", "c")), WEIGHTS, Resampling(9, 1), how
        )
