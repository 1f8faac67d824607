"""Are thresholds found along every direction that is asked for, and told with what is no use?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mahals.evaluation.resistance.thresholds import SearchPlan
from mahals.maths.metrics.resistance import Threshold
from mahals.phases.esr_threshold import PHASE
from mahals.phases.esr_threshold.measure import Params
from mahals.reporting.published_resistance import published_line
from tests.support.resistance_lab import (
    CONCEPTS,
    Request,
    derailed,
    direction_row,
    resistance_lab,
    threshold,
    written_by,
)
from tests.support.tiny_lab import MemoryKept, run

PLAN = SearchPlan(target=50.0, low=0.0, high=8.0, mean=3.0, sd=2.0, queries=12, answers=6)
KEPT = MemoryKept({})
BOUND = "the search ended at a bound, boost 5.98"
BROKEN = "40% of the answers there are broken text"


def noisy(asked: Request) -> str:
    """Derailed from a boost on that differs by seed: half of the answers are so at 2."""
    return derailed(replace(asked, boost=asked.boost + (asked.seed % 5 - 2) / 10))


@pytest.fixture(scope="module")
def found() -> list[Threshold]:
    lab = resistance_lab()
    lab.made["esr_saes", "A"] = [
        *lab.rows("esr_saes", "A"),
        replace(direction_row("latent:0", "latent", CONCEPTS[0]), what="latent"),
    ]
    with written_by(noisy):
        return run(PHASE, Params(("contrast", "latent"), PLAN), lab)


def test_every_direction_has_a_row_and_answers_turn_at_its_boost(found: Any) -> None:
    assert [t.direction for t in found] == [f"contrast:{c}" for c in CONCEPTS]
    for t in found:
        assert (t.model, t.subject, t.source, t.ablated) == ("A", "aligned", "contrast", "none")
        assert t.boost == pytest.approx(2.0, abs=0.25) and t.queries == PLAN.queries
        assert t.target == 50 and not t.hit_bound and t.reached is not None
        assert t.usable == (abs(t.reached - 50) <= 15)


def rows() -> list[Threshold]:
    """Contrast: two usable at 2 and 4, two no use for one reason, one for another; latent: none."""
    one, two, three, four = CONCEPTS
    off = "first attempts on fresh prompts score {}, not 30"
    return [
        threshold(one, boost=2.0, reached=25.0),
        threshold(two, boost=4.0, reached=31.0),
        threshold(three, usable=False, reached=80.0, why=off.format(80)),
        threshold(four, usable=False, reached=71.5, why=off.format(71.5)),
        threshold(four, direction="contrast:x", reached=30.0, usable=False, why=BROKEN),
        threshold(
            one, direction="latent:7", source="latent", reached=None, usable=False, why=BOUND
        ),
    ]


def test_report_counts_what_is_of_use_and_groups_what_is_not() -> None:
    told = PHASE.summarize(rows(), KEPT)
    assert told.metrics["contrast/usable"] == 2 / 5 and told.metrics["latent/usable"] == 0
    assert told.metrics["contrast/boost"] == 3 and told.metrics["contrast/reached"] == 47.5
    assert told.metrics["contrast/boost_sd"] == pytest.approx(2**0.5)
    assert not {"latent/boost", "latent/reached"} & set(told.metrics)
    contrast, latent, published = told.lines
    assert published == published_line("esr_threshold")
    assert "A, contrast directions: 2 of 5 usable, at boosts of 2.00 to 4.00, mean 3.00" in contrast
    assert "score 48, 25 to 80 (sought: 30)" in contrast
    assert f"2 not, as contrast:{CONCEPTS[2]}: first attempts on fresh prompts score 80" in contrast
    assert f"1 not, as contrast:x: {BROKEN}" in contrast
    assert latent.startswith("A, latent directions: 0 of 1 usable; 1 not, as latent:7")


def test_models_are_told_apart() -> None:
    both = [*rows(), *(replace(r, model="B", boost=r.boost + 1) for r in rows())]
    told = PHASE.summarize(both, KEPT)
    assert told.metrics["A/contrast/boost"] == 3 and told.metrics["B/contrast/boost"] == 4
    names = [t.get_text() for t in PHASE.draw(both, KEPT)["thresholds"].axes[0].get_yticklabels()]
    assert names[::2] == ["A, contrast (2 of 5)", "B, contrast (2 of 5)"]


def test_figures_show_what_is_usable_beside_the_target() -> None:
    figures = PHASE.draw(rows(), KEPT)
    boosts, scores = (figures[name].axes[0] for name in ("thresholds", "reached_scores"))
    assert boosts.patches[0].get_width() == 3.0 and scores.patches[0].get_width() == 47.5
    assert [line.get_gid() for line in scores.get_lines()].count("floor") == 1
    for axes in (boosts, scores):
        assert [t.get_text() for t in axes.get_yticklabels()][1] == "A, latent (0 of 1)"
        assert any("absent" in t.get_text() for t in axes.texts)
