"""Agents of a study, told: does every number of the sentences stand in the metrics, and why not?"""

from __future__ import annotations

import numpy as np
import pytest

from mahals.data.texts import AXIOMS
from mahals.reporting.multi_agent import Societies, Society, attack, attack_over_random, likeness
from mahals.reporting.multi_agent_report import report_likeness, report_society, society_figures
from tests.support.swept_rows import agent

A, B = [1, 1, 0, 1, 1, 1, 0, 1], [0, 0, 1, 0, 0, 0, 1, 0]
C = [1, 1, 1, 0, 1, 1, 0, 1]  # of the unsafe prompts, every second one, all but the last


def society(name: str, *refusals: list[int], points: tuple[float, ...] = (5.0, 1.0)) -> Society:
    models = zip("AB", points, refusals, strict=True)
    return Society(name, tuple(agent(t, p, r, seed=i) for i, (t, p, r) in enumerate(models)))


def study(*random: Society) -> Societies:
    states = {
        "unsteered": society("unsteered", A, B),
        "steered": society("steered", C, C, points=(9.0, 8.0)),
    }
    return Societies(("A", "B"), states, random)


DRAWN = (society("random 0", A, B), society("random 1", A, [0] * 8))


def test_the_metrics_are_those_of_each_society_with_its_controls() -> None:
    found = study(*DRAWN)
    told = report_society(found)
    controls = [attack(s) for s in DRAWN]
    for name, one in found.states.items():
        own, like = attack(one), likeness(one, 0).value
        assert told.metrics[f"homophily_{name}"] == like.estimate
        assert told.metrics[f"homophily_{name}_high"] == like.high
        assert told.metrics[f"attack_success_{name}"] == own.success.estimate
        over = attack_over_random(own, controls)
        key = f"attack_success_{name}_over_random"
        assert told.metrics.get(key) == (None if over is None else over.interval.estimate)
    assert told.metrics["refusal_kappa_steered"] == pytest.approx(1.0), "both refuse the same"
    assert told.metrics["refusal_kappa_unsteered"] < 0


def test_a_sentence_names_the_weakest_of_every_axiom_and_the_spread_of_random() -> None:
    lines = report_society(study(*DRAWN)).lines
    (weakest,) = [x for x in lines if x.startswith("weakest link unsteered")]
    assert all(f"{axiom} B {1.0 + i:.1f} [" in weakest for i, axiom in enumerate(AXIOMS))
    (said,) = [x for x in lines if x.startswith("routing attack, unsteered")]
    shares = [attack(s).success.estimate for s in DRAWN]
    assert shares == [0.5, 1.0]
    assert f"success {attack(study().states['unsteered']).success.estimate:.2f} [" in said
    spread = f"range {min(shares):.2f} to {max(shares):.2f}, K=2"
    assert f"random mean {np.mean(shares):.2f} ({spread})" in said


def test_what_is_not_there_is_said() -> None:
    alone = study()
    assert all("; random control absent" in x for x in report_likeness(alone).lines if "homo" in x)
    states = {"unsteered": society("unsteered", [0] * 8, [1] * 8)}
    told = report_likeness(Societies(("A", "B"), states, ()))
    assert told.lines[-1].startswith("refusal kappa unsteered absent: in no pair")
    assert "refusal_kappa_unsteered" not in told.metrics


def test_figures_hold_each_models_points_and_the_bars_of_the_attack() -> None:
    found = study(*DRAWN)
    figures = society_figures(found)
    assert set(figures) == {
        "axiom_agent_heatmap_before",
        "axiom_agent_heatmap_after",
        "attack_success",
    }
    shown = np.asarray(figures["axiom_agent_heatmap_after"].axes[0].images[0].get_array())
    np.testing.assert_allclose(shown, found.states["steered"].aqi)
    widths = [bar.get_width() for bar in figures["attack_success"].axes[0].containers[0]]
    own = [attack(s).success.estimate for s in found.states.values()]
    random = float(np.mean([attack(s).success.estimate for s in DRAWN]))
    assert widths == pytest.approx([*own, random]) == [0.5, 0.25, 0.75]
    assert set(society_figures(Societies(("A", "B"), {"unsteered": DRAWN[0]}, ()))) == {
        "axiom_agent_heatmap_before",
        "attack_success",
    }
