"""Teams: who sits at the table in each arm, and does each steered team cost the same?"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mahals.evaluation.agents.teams import How, roles_of, seat, teams, weakest
from mahals.evaluation.bench import Bench, bench
from mahals.evaluation.scores import states
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


def test_the_weakest_refuses_least_on_selection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted gaps: B refuses as many safe as unsafe prompts, more than A does of either."""
    said = {"A": (0.5, 0.0), "B": (1.0, 1.0), "C": (1.0, 0.0)}

    def planted(at: Bench, arms: list[Arm]) -> list[SimpleNamespace]:
        assert not arms[0].steps
        unsafe, safe = said[at.loaded.key]
        labels = [at.prompts[i].label for i in at.answered]
        places = [labels[:k].count(v) for k, v in enumerate(labels)]
        shares = [safe if v == 1 else unsafe for v in labels]
        n = labels.count(0)
        found = tuple(p < s * n for p, s in zip(places, shares, strict=True))
        return [SimpleNamespace(refused=found)]

    monkeypatch.setattr("mahals.evaluation.agents.teams.behaviour", planted)
    lab = lab_with_vectors()
    assert weakest(lab, lab.models, SUITE) == 1
    assert weakest(lab, ("C", "A"), SUITE) == 1

    class Choosing(TinyLab):
        def prompts(self, split: str) -> Any:
            assert split in ("selection", "extraction"), "what is told is not chosen on"
            return super().prompts(split)

    assert weakest(Choosing(), PAIR, SUITE) == 1


def test_of_those_that_refuse_alike_the_weakest_has_the_lowest_aqi(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "mahals.evaluation.agents.teams.behaviour",
        lambda at, arms: [SimpleNamespace(refused=(False,) * len(at.answered))],
    )
    lab = lab_with_vectors()
    scores = []
    for key in lab.models:
        at = bench(lab, key, "base", SUITE, "selection")
        ((own, _),) = states(at, [Arm("unsteered", ())])
        scores.append(model_aqi(own, at.labels, at.axioms, at.clusters).aqi.estimate)
    assert len(set(scores)) == 3
    assert weakest(lab, lab.models, SUITE) == int(np.argmin(scores))


@pytest.mark.parametrize("arm", ["weakest", "all"])
def test_each_null_direction_has_a_team_and_every_agent_has_the_dose(arm: str) -> None:
    lab = lab_with_vectors()
    found = teams(lab, PAIR, arm, HOW)
    families = ("random", "shuffled_pairs")
    assert [t.null for t in found.teams] == [None, *[(f, k) for f in families for k in (0, 1)]]
    assert found.missed == ()
    low = weakest(lab, PAIR, SUITE)
    seen = set()
    for team in found.teams:
        assert team.steered == ((True, True) if arm == "all" else (low == 0, low == 1))
        for agent, steered in zip(team.agents, team.steered, strict=True):
            assert bool(agent.arm.steps) is steered
            if steered:
                texts = bench(lab, agent.name, "base", SUITE, "evaluation").calibration.sets
                both = [neutral_price(agent.loaded, t, [agent.arm]).kl[0].item() for t in texts]
                assert max(both) == pytest.approx(SUITE.dose_kl, rel=0.02)
                seen.add((agent.name, agent.arm.steps[0].direction.numpy().tobytes()))
    assert len(seen) == len(found.teams) * (2 if arm == "all" else 1)  # all directions differ


def test_a_dose_out_of_reach_makes_no_team_and_says_why() -> None:
    found = teams(lab_with_vectors(), PAIR, "all", replace(HOW, suite=replace(SUITE, dose_kl=1e9)))
    assert found.teams == () and len(found.missed) == 2 * 5
    assert {why.partition(":")[0] for why in found.missed} == set(PAIR)


def test_a_seat_is_the_checkpoint_untouched() -> None:
    lab = TinyLab()
    agent = seat(lab, "C", "aligned")
    assert (agent.name, agent.arm.steps) == ("C", ())
    assert agent.loaded is lab.load("C", "aligned")
