"""Do the figures of games show the cells, the equilibria and the paths where they are?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.maths.games.analysis import Analysis, analyse
from mahals.maths.games.game import game_of
from mahals.maths.games.replicator import Course, replicator_path
from mahals.maths.games.solvers import Search
from mahals.phases.equilibrium.figures.charts import (
    payoff_heatmaps,
    portraits,
    simplex_portrait,
    stability_bars,
)
from mahals.phases.equilibrium.report import describe
from mahals.records import InputError
from mahals.reporting.plots.picture import saved
from mahals.reporting.plots.sheet import Labels
from tests.support.textbook_games import PENNIES, ROCK_PAPER_SCISSORS, STAG, volunteers

WORDS = Labels("A game", "payoff", "Textbook payoffs.", "higher")
HOW = Search(60.0, 1, 0, False)


@pytest.fixture(autouse=True)
def no_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mahals.maths.games.solvers.installed", lambda library: False)


def shaken(of) -> Analysis:
    noise = np.random.default_rng(0).normal(size=(40, *of.payoffs.shape))
    return analyse(of, of.payoffs + 0.8 * noise, HOW)


def test_heatmaps_outline_each_pure_equilibrium_in_every_panel() -> None:
    found = shaken(STAG)
    figure = payoff_heatmaps(STAG, found.points, WORDS)
    marks = [p for axes in figure.axes for p in axes.patches if p.get_gid() == "equilibrium"]
    assert sorted(p.get_xy() for p in marks) == sorted([(-0.47, -0.46), (0.53, 0.54)] * 2)
    written = [t.get_text() for axes in figure.axes for t in axes.texts]
    assert "4.00 \u2605" in written and "3.00" in written
    assert len(payoff_heatmaps(volunteers(), shaken(volunteers()).points, WORDS).axes) == 7
    assert saved(figure)["png"][:4] == b"\x89PNG"


def test_portraits_show_best_replies_and_flow() -> None:
    path = replicator_path(STAG, [[0.7, 0.3], [0.6, 0.4]], Course(30.0, 50))
    figure = portraits(STAG, shaken(STAG).points, [path], WORDS)
    left, right = figure.axes[:2]
    jump = left.lines[0].get_xdata()
    other = left.lines[0].get_ydata()
    assert other[np.argmax(np.diff(jump)) + 1] == pytest.approx(0.5, abs=1e-3)
    assert right.lines[0].get_xdata()[-1] < 0.01  # from above the middle both end hunting the stag
    assert saved(figure)["png"][:4] == b"\x89PNG"
    with pytest.raises(InputError, match="portraits"):
        portraits(ROCK_PAPER_SCISSORS, [], [], WORDS)


def test_the_triangle_holds_its_paths() -> None:
    path = replicator_path(ROCK_PAPER_SCISSORS, [[0.5, 0.3, 0.2]] * 2, Course(20.0, 60))
    figure = simplex_portrait(ROCK_PAPER_SCISSORS, [], [path], WORDS)
    x, y = figure.axes[0].lines[1].get_data()
    np.testing.assert_allclose(y / (np.sqrt(3) / 2), path.mixes[0][:, 2])
    np.testing.assert_allclose(x, path.mixes[0] @ [0, 1, 0.5])
    with pytest.raises(InputError, match="simplex"):
        simplex_portrait(PENNIES, [], [], WORDS)


def test_bars_are_the_stability_shares() -> None:
    found = shaken(STAG)
    figure = stability_bars({"": found}, WORDS)
    shares = [p.stability.share.estimate for p in found.points if p.stability]
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx(shares)
    with pytest.raises(InputError, match="equilibria"):
        stability_bars({"": analyse(PENNIES, None, HOW)}, WORDS)
    with pytest.raises(InputError, match="stability"):
        stability_bars({"": analyse(STAG, None, HOW)}, WORDS)


def test_profiles_in_words() -> None:
    of = game_of(PENNIES.payoffs, ["A", "B"], [["weak", "strong"], ["x", "y"]])
    said = describe(of, (np.array([0.0, 1.0]), np.array([0.25, 0.75])))
    assert said == "strong / x 0.25+y 0.75"
