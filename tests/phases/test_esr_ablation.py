"""Is it seen when a model comes back by its detectors alone, and what else moves then?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from mahals.evaluation.resistance.held_sets import SetDraws
from mahals.evaluation.resistance.thresholds import SearchPlan
from mahals.maths.metrics.resistance import NONE, Threshold
from mahals.phases.esr_ablation import PHASE
from mahals.phases.esr_ablation.measure import Params
from mahals.records import from_plain
from mahals.reporting.held_sets import WEAKER
from tests.support.resistance_lab import (
    CONCEPTS,
    ResistanceLab,
    resistance_lab,
    written_by,
)
from tests.support.sets_held import DETECTORS, HALF, WHOLE, plant_detectors, watchful
from tests.support.tiny_lab import run

PARAMS = Params(
    ("aligned",),
    ("contrast",),
    SetDraws(("free", "passage"), ("frequency", "kl"), 3, 5),
    SearchPlan(50.0, 0.0, 8.0, 2.0, 2.0, 12, 5),
)


def lab_of(detectors: tuple[int, ...] = DETECTORS) -> ResistanceLab:
    lab = resistance_lab()
    plant_detectors(lab, detectors)
    lab.phase = "esr_ablation"
    return lab


@pytest.fixture(scope="module")
def found() -> Any:
    lab = lab_of()
    with written_by(watchful) as asked:
        rows = run(PHASE, PARAMS, lab)
    return lab, rows, asked


def test_arms_share_prompts_seeds_and_boosts(found: Any) -> None:
    _, rows, asked = found
    arms: dict[str, set[Any]] = {}
    for t in rows:
        cell = (t.situation, t.direction, t.prompt, t.seed, t.boost)
        arms.setdefault(t.ablated, set()).add(cell)
    again = {c[:-1] for c in arms.pop("recalibrated")}
    assert set(arms) == {
        NONE,
        "detectors",
        *(f"{k}-{i}" for k in ("frequency", "kl") for i in range(3)),
    }
    assert all(cells == arms[NONE] for cells in arms.values())
    assert again == {c[:-1] for c in arms[NONE] if c[0] == "free"}
    written = asked[-len(rows) :]
    for t, a in zip(rows, written, strict=True):
        assert (a.prompt, a.seed, bool(a.prefix)) == (t.prompt, t.seed, t.situation == "passage")
        assert a.boost == (t.boost if t.situation == "free" else 0)
        assert bool(a.holds) == (t.ablated != NONE)


def test_the_recalibrated_boost_is_found_with_the_detectors_held(found: Any) -> None:
    lab, rows, asked = found
    file = lab.kept("esr_ablation").path("A/thresholds-aligned.json")
    read = from_plain(tuple[Threshold, ...], json.loads(file.read_text()))
    told = {t.direction: t for t in read}
    assert set(told) == {f"contrast:{c}" for c in CONCEPTS}
    assert all(t.ablated == "recalibrated" for t in told.values())
    assert all(HALF <= t.boost <= WHOLE and t.usable for t in told.values())
    for t in rows:
        if t.ablated == "recalibrated" and t.line is not None:
            assert t.boost == told[t.direction].boost and t.situation == "free"
    searched = asked[: -len(rows)]
    assert searched and all(a.holds[0].latents == DETECTORS for a in searched)


def test_the_first_score_is_told_before_restarts(found: Any) -> None:
    lab, rows, _ = found
    summary = PHASE.summarize(rows, lab.kept("esr_ablation"))
    for kind in ("none", "equal_frequency", "equal_KL"):
        assert summary.metrics[f"free/{kind}/esr_rate"] == 1
        assert summary.metrics[f"passage/{kind}/multi_attempt_rate"] == 1
    assert summary.metrics["passage/detectors/multi_attempt_rate"] == 0
    assert summary.metrics["free/beyond_frequency/esr_rate"] == -1
    assert summary.metrics["passage/beyond_kl/multi_attempt_rate_p_random"] == 0.25
    (line,) = (x for x in summary.lines if x.startswith("free, paired: detectors less none"))
    assert line.index("first score +") < line.index("restarts -1.00") < line.index("ESR) -1.00")
    assert f"free: {WEAKER}" in summary.lines and f"passage: {WEAKER}" not in summary.lines
    assert any("paired: recalibrated less none" in x for x in summary.lines)


def test_figures_have_a_bar_for_each_arm(found: Any) -> None:
    lab, rows, _ = found
    figures = PHASE.draw(rows, lab.kept("esr_ablation"))
    assert set(figures) == {f"{n}-aligned" for n in ("first_scores", "rates", "over_random")}
    axes = {name: figure.get_axes()[0] for name, figure in figures.items()}
    names = {n: [x.get_text() for x in a.get_yticklabels()] for n, a in axes.items()}
    assert len(names["rates-aligned"]) == 4 + 1 + 4 and names["rates-aligned"][0].startswith("free")
    assert names["over_random-aligned"][0] == "free, over sets of equal frequency"
    assert len(names["over_random-aligned"]) == 4


def test_without_detectors_their_arm_is_absent_and_nothing_is_searched() -> None:
    lab = lab_of(())
    with written_by(watchful) as asked:
        rows = run(PHASE, PARAMS, lab)
    absent = [t for t in rows if t.line is None]
    assert len(absent) == 1 + 2 * PARAMS.sets.draws and len(asked) == len(rows) - len(absent)
    summary = PHASE.summarize(rows, lab.kept("esr_ablation"))
    assert any("7 trials absent: no latent is a detector" in x for x in summary.lines)
    assert not any("less none" in x or "beyond" in x for x in summary.lines)
    figures = PHASE.draw(rows, lab.kept("esr_ablation"))
    assert "over_random-aligned" not in figures
