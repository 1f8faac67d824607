"""Agents of a study, told: does every number of the sentences stand in the metrics, and why not?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mahals.data.texts import AXIOMS
from mahals.reporting.multi_agent import Societies, Society, likeness
from mahals.reporting.multi_agent_attack import attack, attack_over_nulls
from mahals.reporting.multi_agent_report import report_likeness, report_society, society_figures
from tests.support.swept_rows import agent

A, B = [1, 1, 0, 1, 1, 1, 0, 1], [0, 0, 1, 0, 0, 0, 1, 0]
C = [1, 1, 1, 0, 1, 1, 0, 1]  # of the unsafe prompts, every second one, all but the last


def society(name: str, *refusals: list[int], points: tuple[float, ...] = (5.0, 1.0)) -> Society:
    """Influences are small, so that no level's interval reaches the floor."""
    models = zip("AB", points, refusals, strict=True)
    made = [agent(t, p, r, seed=i) for i, (t, p, r) in enumerate(models)]
    return Society(name, tuple(replace(a, influence=a.influence / 50) for a in made))


def study(*random: Society) -> Societies:
    states = {
        "unsteered": society("unsteered", A, B),
        "steered": society("steered", C, C, points=(9.0, 8.0)),
    }
    return Societies(("A", "B"), states, {"random": random, "shuffled_pairs": PAIRS[: len(random)]})


PAIRS = (society("shuffled_pairs 0", A, A), society("shuffled_pairs 1", A, A))
DRAWN = (society("random 0", A, B), society("random 1", A, [0] * 8))


def test_the_metrics_are_those_of_each_society_with_its_controls() -> None:
    found = study(*DRAWN)
    told = report_society(found)
    controls = {f: [attack(s) for s in some] for f, some in found.nulls.items()}
    for name, one in found.states.items():
        own, like = attack(one), likeness(one, 0).value
        assert told.metrics[f"homophily_{name}"] == like.estimate
        assert told.metrics[f"homophily_{name}_high"] == like.high
        assert told.metrics[f"attack_success_{name}"] == own.success.estimate
        assert told.metrics[f"attack_gain_{name}"] == own.gain.estimate
        over = attack_over_nulls(own, controls)
        assert over is not None
        key = f"attack_success_{name}_over_random"
        assert told.metrics[key] == over.gain.interval.estimate
    assert told.metrics["refusal_kappa_steered"] == pytest.approx(1.0), "both refuse the same"
    assert told.metrics["refusal_kappa_unsteered"] < 0


def test_a_sentence_names_the_weakest_of_every_axiom_and_the_spread_of_nulls() -> None:
    lines = report_society(study(*DRAWN)).lines
    (weakest,) = [x for x in lines if x.startswith("weakest link unsteered")]
    assert all(f"{axiom} B {1.0 + i:.1f} [" in weakest for i, axiom in enumerate(AXIOMS))
    (least,) = [x for x in lines if x.startswith("weakest link in refusals unsteered")]
    assert f"{AXIOMS[0]} B 0.00" in least and f"{AXIOMS[2]} A 0.00" in least
    (said,) = [x for x in lines if x.startswith("routing attack, unsteered")]
    shares = [attack(s).success.estimate for s in DRAWN]
    assert f"success {attack(study().states['unsteered']).success.estimate:.2f} [" in said
    spread = f"range {min(shares):.2f} to {max(shares):.2f}, K=2"
    assert f"random mean {np.mean(shares):.2f} ({spread})" in said
    assert "shuffled pairs mean" in said and "(the harder family)" in said


def test_what_is_not_there_is_said() -> None:
    alone = study()
    lines = report_likeness(alone).lines
    assert all("; null arms absent" in x for x in lines if x.startswith(("homo", "refusal kappa")))
    states = {"unsteered": society("unsteered", [0] * 8, [1] * 8)}
    told = report_likeness(Societies(("A", "B"), states, {}))
    (kappa,) = [x for x in told.lines if x.startswith("refusal kappa")]
    assert "in no pair" in kappa and kappa.endswith("nothing to measure here")
    assert "refusal_kappa_unsteered" not in told.metrics


def test_what_lies_at_a_floor_gives_no_number() -> None:
    """Nobody refuses, and no AQI is above -100/3, the floor of the four prompts an axiom."""
    none = society("unsteered", [0] * 8, [0] * 8, points=(-40.0, -50.0))
    found = Societies(("A", "B"), {"unsteered": none}, {})
    told = report_society(found)
    assert told.metrics == {}
    assert len(told.lines) == 4
    assert all(line.endswith("nothing to measure here") for line in told.lines)
    for name, figure in society_figures(found).items():
        said = " ".join(text.get_text() for text in figure.texts).replace("\n", " ")
        assert "nothing to measure" in said, name
    (bar,) = society_figures(found)["attack_success"].axes[0].containers[0]
    assert np.isnan(bar.get_width()), "no bar for what is a floor"


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
    null = [float(np.mean([attack(s).success.estimate for s in some])) for some in (DRAWN, PAIRS)]
    assert widths == pytest.approx([*own, *null])
    assert set(society_figures(Societies(("A", "B"), {"unsteered": DRAWN[0]}, {}))) == {
        "axiom_agent_heatmap_before",
        "attack_success",
    }
