"""Does each wording reach the model, and is it compared with one that says nothing?"""

from __future__ import annotations

from typing import Any

import pytest

from mahals.evaluation.resistance.subjects import SubjectChoice
from mahals.phases.esr_prompts import PHASE
from mahals.phases.esr_prompts.measure import WORDINGS
from tests.support.resistance_lab import (
    CONCEPTS,
    SETTING,
    TOPICS,
    Request,
    derailed,
    direction_row,
    resistance_lab,
    steps_of,
    threshold,
    written_by,
)
from tests.support.tiny_lab import run

PARAMS = SubjectChoice(("aligned",), ("contrast", "random"))
NAMED = ("names the concept", "names a latent")


def obedient(asked: Request) -> str:
    """Steered, it comes back where the prompt says that something distracts it."""
    text, topic = derailed(asked), TOPICS[asked.prompt]
    if asked.boost and asked.system and "distract" in asked.system:
        return f"{text} Wait, that is off topic. To {topic}: {steps_of(topic, asked.seed)}"
    return text


@pytest.fixture(scope="module")
def found() -> Any:
    lab = resistance_lab()
    lab.phase = "esr_prompts"
    with written_by(obedient) as asked:
        rows = run(PHASE, PARAMS, lab)
    return lab, rows, asked


def test_wordings_are_nine_and_the_placebo_is_as_long_as_they_are() -> None:
    others = [text for name, text in WORDINGS.items() if name not in ("none", "placebo") and text]
    placebo = WORDINGS["placebo"]
    assert placebo is not None and len(others) == 7 and len(set(others)) == 7
    lengths = [len(text.replace("{concept}", "cook rice").split()) for text in others]
    assert min(lengths) <= len(placebo.split()) <= max(lengths)
    assert not any(word in placebo for word in ("topic", "question", "distract", "back"))
    assert [name for name, text in WORDINGS.items() if "{concept}" in (text or "")] == list(NAMED)


def test_each_wording_is_the_system_turn_steered_and_not(found: Any) -> None:
    _, rows, asked = found
    assert len(rows) == len(asked)
    for t, a in zip(rows, asked, strict=True):
        text = WORDINGS[t.variant]
        assert a.system == (text and text.replace("{concept}", t.concept))
        assert (a.boost > 0) == (t.situation == "free") == (t.boost > 0)
        assert a.prefix == ""
    prompts, seeds = SETTING.prompts("evaluation"), SETTING.seeds
    for variant in WORDINGS:
        own = [t for t in rows if t.variant == variant]
        free = [t for t in own if t.situation == "free"]
        assert {t.concept for t in free} == set(CONCEPTS)
        still = [t for t in own if t.situation == "unsteered"]
        assert len(still) == (len(free) if variant in NAMED else len(prompts) * seeds)


def test_a_direction_without_a_concept_cannot_be_named() -> None:
    lab = resistance_lab()
    vectors = lab.kept("esr_saes").tensors("A/directions.safetensors")
    lab.phase = "esr_saes"
    lab.keep(
        "directions.safetensors", {**vectors, "random:0": vectors[f"contrast:{CONCEPTS[0]}"] * 2}
    )
    lab.made["esr_saes", "A"] = [
        *lab.made["esr_saes", "A"],
        direction_row("random:0", "random", "none"),
    ]
    lab.made["esr_threshold", "A"] = [threshold("none", direction="random:0", source="random")]
    with written_by(obedient):
        rows = run(PHASE, PARAMS, lab)
    absent = [t for t in rows if t.line is None]
    assert {t.variant for t in absent} == set(NAMED)
    assert {t.why for t in absent} == {"the direction has no concept that a prompt could name"}


def test_the_report_sets_each_wording_beside_none_and_the_placebo(found: Any) -> None:
    lab, rows, _ = found
    summary = PHASE.summarize(rows, lab.kept("esr_prompts"))
    assert summary.metrics["free/contrast/distracted/esr_rate"] == 1
    assert summary.metrics["free/contrast/placebo/esr_rate"] == 0
    for other in ("none", "placebo"):
        lines = [x for x in summary.lines if f"distracted less {other}: " in x]
        assert len(lines) == 1 and "one of 7 wordings" in lines[0]
        assert "comes back (ESR) +1.00" in lines[0]
    assert not any("placebo less" in x or "none less" in x for x in summary.lines)
    assert any("watch yourself less placebo: restarts +0.00" in x for x in summary.lines)


def test_figures_have_a_bar_for_each_wording(found: Any) -> None:
    lab, rows, _ = found
    figures = PHASE.draw(rows, lab.kept("esr_prompts"))
    assert set(figures) == {"free-A-aligned", "unsteered-A-aligned"}
    for figure in figures.values():
        (axes,) = figure.get_axes()
        names = [label.get_text().split(" (")[0] for label in axes.get_yticklabels()]
        assert names == list(WORDINGS)
