"""Teams: who sits at the table in each arm, and does each steered team cost the same?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mahals.evaluation.agents.teams import How, roles_of, seat, teams, weakest
from mahals.evaluation.bench import bench, states
from mahals.maths.metrics.aqi import model_aqi
from mahals.models.generation.price import neutral_price
from mahals.models.steering.interventions import Arm
from tests.support.tiny_lab import SUITE, TinyLab, lab_with_vectors

HOW = How("mean_difference", "auto", "add", 2, SUITE)
PAIR = ("A", "B")


def test_every_arm_seats_its_checkpoints() -> None:
    assert roles_of("none", 3) == roles_of("all", 3) == ("base",) * 3
    assert roles_of("aligned", 2) == ("aligned", "aligned")
    assert roles_of("adversarial", 3) == ("base", "aligned", "aligned")
    lab = TinyLab()
    (team,) = teams(lab, PAIR, "adversarial", HOW).teams
    assert lab.asked == [("A", "base"), ("B", "aligned")]
    assert [a.name for a in team.agents] == ["A", "B"] and team.steered == (False, False)
    assert not any(a.arm.steps for a in team.agents)


def test_the_weakest_has_the_lowest_aqi_of_its_own_states_on_selection() -> None:
    lab = lab_with_vectors()
    scores = []
    for key in lab.models:
        at = bench(lab, key, "base", SUITE, "selection")
        (own,) = states(at, [Arm("unsteered", ())])
        scores.append(model_aqi(own, at.labels, at.axioms, at.clusters).aqi.estimate)
    assert len(set(scores)) == 3
    assert weakest(lab, lab.models, SUITE) == int(np.argmin(scores))
    assert weakest(lab, lab.models[::-1], SUITE) == 2 - int(np.argmin(scores))

    class Choosing(TinyLab):
        def prompts(self, split: str) -> Any:
            assert split == "selection", "what is told is not chosen on"
            return super().prompts(split)

    weakest(Choosing(), PAIR, SUITE)


@pytest.mark.parametrize("arm", ["weakest", "all"])
def test_each_random_direction_has_a_team_and_every_agent_has_the_dose(arm: str) -> None:
    lab = lab_with_vectors()
    found = teams(lab, PAIR, arm, HOW)
    assert [t.draw for t in found.teams] == [None, 0, 1] and found.missed == ()
    low = weakest(lab, PAIR, SUITE)
    for team in found.teams:
        assert team.steered == ((True, True) if arm == "all" else (low == 0, low == 1))
        for agent, steered in zip(team.agents, team.steered, strict=True):
            assert bool(agent.arm.steps) is steered
            if steered:
                texts = bench(lab, agent.name, "base", SUITE, "evaluation").calibration
                price = neutral_price(agent.loaded, texts, [Arm("unsteered", ()), agent.arm])
                assert price.kl[1].item() == pytest.approx(SUITE.dose_kl, rel=0.02)


def test_a_dose_out_of_reach_makes_no_team_and_says_why() -> None:
    found = teams(lab_with_vectors(), PAIR, "all", replace(HOW, suite=replace(SUITE, dose_kl=1e9)))
    assert found.teams == () and len(found.missed) == 2 * 3
    assert {why.partition(":")[0] for why in found.missed} == set(PAIR)


def test_a_seat_is_the_checkpoint_untouched() -> None:
    lab = TinyLab()
    agent = seat(lab, "C", "aligned")
    assert (agent.name, agent.arm.steps) == ("C", ())
    assert agent.loaded is lab.load("C", "aligned")
