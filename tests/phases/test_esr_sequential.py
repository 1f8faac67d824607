"""Are the first improved episodes read token by token, beside an answer that never restarts?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from mahals.data.world.words import HOW_TO
from mahals.phases.esr_sequential import PHASE
from mahals.phases.esr_sequential.measure import Params
from mahals.phases.esr_sequential.rows import Row
from mahals.records import from_plain
from mahals.reporting.resistance import PLANTED
from tests.support.resistance_lab import SETTING, TOPICS, ResistanceLab, plain
from tests.support.restarted_answers import (
    AWAY,
    TOPIC_NAMES,
    planted_states,
    reading_lab,
    stored,
    stored_trials,
)
from tests.support.tiny_lab import MemoryKept
from tests.support.tiny_models import tokenizer

PARAMS = Params(
    subjects=("aligned",),
    sources=("contrast",),
    situations=("free",),
    least_episodes=2,
    most=30,
    reach=8,
    episodes=4,
)
KEPT = MemoryKept({})
PROMPT = SETTING.prompts("evaluation")[0]
AWAY_FROM = [c for c in TOPIC_NAMES if c != TOPICS[PROMPT]]


def made(lab: ResistanceLab, **changes: Any) -> list[Row]:
    params = replace(PARAMS, **changes)
    (task,) = PHASE.plan(params, lab)
    with planted_states():
        return list(PHASE.measure(task, params, lab))


def curve(rows: list[Row], quantity: str, group: str = "episode") -> dict[str | int, float | None]:
    return {r.place: r.mean for r in rows if (r.quantity, r.group) == (quantity, group)}


def test_the_first_improved_answers_of_two_attempts_are_read() -> None:
    """Not those that get worse, of three attempts, or later ones; counted by their directions."""
    worse = stored(PROMPT, AWAY_FROM[0], True, scores=(10.0, 0.0))
    three = stored(PROMPT, AWAY_FROM[1], True, starts=(0, 30, 60), scores=(0.0, 5.0, 9.0))
    better = [stored(PROMPT, c, True) for c in AWAY_FROM[2:6]]
    lab = reading_lab([worse, three, *better])
    rows = made(lab, episodes=3)
    assert {r.count for r in rows if r.quantity == "mark"} == {3}
    alone = made(reading_lab(better[:3]), episodes=3)
    assert curve(rows, "projection") == curve(alone, "projection")
    assert curve(rows, "relevance") == curve(alone, "relevance")


def test_curves_are_those_that_were_planted_and_steering_is_on() -> None:
    rows = made(reading_lab(stored_trials()))
    assert {r.steering for r in rows} == {"on"}
    early, late = curve(rows, "detectors"), curve(rows, "detectors", "derailed")
    assert early["off topic"] == pytest.approx(late["off topic"], abs=0.05) and early[2] == 0.0
    # directions 0 to 3 are axes: at the restart, before it, not at it, steered
    along = [stored(PROMPT, c, True) for c in TOPIC_NAMES[:4] if c != TOPICS[PROMPT]]
    for trial, text in along:
        rows = made(reading_lab([(trial, text)]), least_episodes=1)
        axis = TOPIC_NAMES.index(trial.concept)
        expected = {0: (0, 1), 1: (1, 0), 2: (1, 0), 3: (1, 1)}[axis]
        assert tuple(curve(rows, "projection")[k] for k in (-2, 1)) == expected
    passage = made(reading_lab(stored_trials("passage")), situations=("passage",))
    assert {r.steering for r in passage} == {"off"}


def test_a_projection_is_in_lengths_of_the_direction() -> None:
    lab = reading_lab([stored(PROMPT, TOPIC_NAMES[3], True)])
    lab.phase = "esr_saes"
    lab.keep("directions.safetensors", {
        f"contrast:{c}": 4.0 * torch.eye(32)[i] for i, c in enumerate(TOPIC_NAMES)
    })  # fmt: skip
    assert curve(made(lab, least_episodes=1), "projection")["restart"] == 0.25


def test_relevance_is_that_of_the_text_up_to_there() -> None:
    """Steps so far that are the topic's: by hand, clause after clause."""
    (trial, text), topic = stored(PROMPT, AWAY_FROM[0], True), TOPICS[PROMPT]
    rows = made(reading_lab([(trial, text)]), least_episodes=1, reach=90)
    points = curve(rows, "relevance")
    second = text.index(", then", text.index(AWAY)) + len(", then ")
    steps = [text[:second].count(s) for t in (topic, AWAY_FROM[0]) for s in HOW_TO[t]]
    ours, all_steps = sum(steps[: len(HOW_TO[topic])]), sum(steps)
    assert (ours, all_steps) == (1, 3)
    ends = [end for _, end in tokenizer()(text, return_offsets_mapping=True)["offset_mapping"]]
    at, first = (sum(end < c for end in ends[1:]) for c in (second, text.index(AWAY)))
    later = {k: v for k, v in points.items() if isinstance(k, int) and k >= at - first}
    assert points[at - first - 1] == 0.0 and points[0] == 0.0
    assert list(later.values()) == pytest.approx([100 * ours / all_steps] * len(later))


def test_marks_are_where_answers_begin_and_the_clause_ends() -> None:
    rows = made(reading_lab([stored(PROMPT, c, True) for c in AWAY_FROM[:3]]))
    marks = curve(rows, "mark")
    inside = [
        k for k, v in curve(rows, "projection").items() if isinstance(k, int) and v is not None
    ]
    assert marks["begins"] is not None and marks["begins"] <= min(inside)
    one = made(reading_lab([stored(PROMPT, TOPIC_NAMES[0], True)]), least_episodes=1, reach=40)
    at = [k for k, v in curve(one, "projection").items() if isinstance(k, int) and v == 1.0]
    found = curve(one, "mark")
    assert TOPIC_NAMES[0] != TOPICS[PROMPT] and (min(at), max(at) + 1) == (0, found["ends"])
    early = [k for k, v in curve(one, "relevance").items() if v is None and isinstance(k, int)]
    assert min(early, default=0) >= (found["begins"] or 0.0)


def test_no_detectors_and_too_few_episodes_are_absent_with_the_reason() -> None:
    rows = made(reading_lab(stored_trials(), ()))
    assert [r.why for r in rows if r.why] == ["esr_detectors found none"]
    assert {r.quantity for r in rows} == {"detectors", "projection", "relevance", "mark"}
    few = made(reading_lab(stored_trials()[:2]))
    assert [(r.count, r.why) for r in few] == [(1, "1 improved episodes of two attempts, 2 needed")]
    assert PHASE.draw(few, KEPT) == {} and "absent" in PHASE.summarize(few, KEPT).lines[1]


def test_rows_come_back_and_are_told_and_drawn() -> None:
    rows = made(reading_lab(stored_trials()))
    assert [from_plain(Row, plain(r)) for r in rows] == rows
    told = PHASE.summarize(rows, KEPT)
    assert told.lines[0] == PLANTED and "aligned/free/relevance/on_topic" in told.metrics
    assert told.metrics["aligned/free/relevance/on_topic_over_derailed"] > 0
    (name, figure), *rest = PHASE.draw(rows, KEPT).items()
    assert name == "curves-aligned-free" and not rest
    marks = curve(rows, "mark")
    for axes in figure.axes:
        dotted = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
        assert dotted == [marks["begins"], 0.0, marks["ends"]]
