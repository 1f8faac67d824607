"""Is each situation what it says, and are unsteered answers what boost 0 gives?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mahals.data.composed import restart_of
from mahals.evaluation.resistance import answer_cache, episodes
from mahals.evaluation.resistance.subjects import SubjectChoice
from mahals.maths.metrics.resistance import ResistanceTrial, rates
from mahals.phase import StatesPlace
from mahals.phases.esr import PHASE
from mahals.phases.esr_unsteered import PHASE as UNSTEERED
from tests.support.resistance_lab import (
    BOOST,
    CONCEPTS,
    SETTING,
    TEXTS,
    TOPICS,
    Request,
    derailed,
    resistance_lab,
    steps_of,
    threshold,
    written_by,
)
from tests.support.tiny_lab import run

PARAMS = SubjectChoice(("aligned",), ("contrast",))
ASKS = [
    (c, p, s) for c in CONCEPTS for p in SETTING.prompts("evaluation")
    for s in range(SETTING.seeds) if TOPICS[p] != c
]  # fmt: skip


def of(rows: Sequence[ResistanceTrial], situation: str) -> list[ResistanceTrial]:
    return [t for t in rows if t.situation == situation]


@pytest.fixture(scope="module")
def found() -> Any:
    """Rows, and what was asked of the writer, by situation and place in the rows."""
    with written_by(derailed) as asked:
        rows = run(PHASE, PARAMS, resistance_lab())
    return rows, asked[-len(rows) :]  # after those at boost 0


def test_every_situation_is_asked_along_every_usable_direction(found: Any) -> None:
    rows, _ = found
    for situation in ("free", "first", "own_text", "restarted", "on_topic", "passage"):
        own = of(rows, situation)
        assert [(t.concept, t.prompt, t.seed) for t in own] == ASKS
        assert all(t.why is None and t.line is not None for t in own)
    assert len(rows) == 6 * len(ASKS)


def test_what_an_answer_begins_with_and_when_it_is_steered(found: Any) -> None:
    rows, asked = found
    for t, a in zip(rows, asked, strict=True):
        assert (a.prompt, a.seed, len(a.prefix)) == (t.prompt, t.seed, t.prefix)
        text, own = steps_of(t.concept, t.seed), steps_of(TOPICS[t.prompt], t.seed)
        steered = (BOOST, t.concept)
        match t.situation:
            case "free":
                assert (a.prefix, a.boost, a.concept, a.tokens) == ("", *steered, None)
            case "first":
                assert (a.prefix, a.boost, a.concept) == ("", *steered)
                assert a.tokens == SETTING.first_tokens
            case "own_text":
                assert (a.prefix, a.boost, t.boost) == (text, 0, 0)
            case "passage":
                prompted = TEXTS.concepts[t.concept] in TEXTS.prompts  # has answers of two seeds
                passage = steps_of(t.concept, t.seed if prompted else 0)
                assert (a.prefix, a.boost) == (passage, 0)
            case "restarted":
                assert (a.boost, a.concept, a.tokens) == (*steered, None)
                assert a.prefix == f"{text} {restart_of(t.prompt).strip()}"
            case "on_topic":
                assert (a.boost, a.concept, a.tokens) == (*steered, None)
                assert own.startswith(a.prefix + " ") and 0 < len(a.prefix) <= len(text)


def test_rates_are_those_of_what_was_written(found: Any) -> None:
    rows, _ = found
    free, first = rates(of(rows, "free")), rates(of(rows, "first"))
    assert free.first_score is not None and free.first_score.estimate == 0
    assert free.multi_attempt_rate is not None and free.multi_attempt_rate.estimate == 0
    assert first.esr_rate is not None and first.esr_rate.estimate == 1
    assert all(t.scores == (0.0, 100.0) for t in of(rows, "first"))
    for t in of(rows, "restarted"):  # the restart was put there: an attempt, and not the model's
        assert not t.restarted and t.scores == (0.0, 0.0)
    for t in of(rows, "own_text"):  # judged with what it begins with
        assert t.first is not None and 0 < t.first < 100


def test_where_nothing_was_derailed_its_text_is_absent() -> None:
    """One direction has no usable threshold, along another answers stay on the topic."""
    off, on, *_ = CONCEPTS
    lab = resistance_lab()
    lab.made["esr_threshold", "A"] = [
        threshold(off, usable=False, why="the search ended at a bound"),
        threshold(on, boost=BOOST / 2),
        *(threshold(c) for c in CONCEPTS[2:]),
    ]
    with written_by(derailed):
        rows = run(PHASE, PARAMS, lab)
    absent = [t for t in rows if t.line is None]
    unusable = [t for t in absent if t.concept == off]
    assert [t.situation for t in unusable] == ["free", "first", "own_text", "restarted", "on_topic"]
    assert {t.why for t in unusable} == {"no usable threshold: the search ended at a bound"}
    assert {t.why for t in absent if t.concept == on} == {
        "the steered answer did not leave the topic"
    }
    assert {t.concept for t in absent} == {off, on}
    assert any(t.concept == off and t.line is not None for t in of(rows, "passage"))
    lines = PHASE.summarize(rows, lab.kept("esr")).lines
    assert any("trials absent: the steered answer did not leave" in line for line in lines)


def test_text_before_a_restart_is_what_comes_before_it() -> None:
    """The steered answer restarts in vain: its first attempt alone is put there."""

    def writer(asked: Request) -> str:
        text = derailed(asked)
        again = f"{text} Sorry, that is not what you asked. {text}"
        return again if asked.boost and not asked.prefix and asked.tokens is None else text

    with written_by(writer) as asked:
        rows = run(PHASE, PARAMS, resistance_lab(writer))
    own = [
        a.prefix
        for t, a in zip(rows, asked[-len(rows) :], strict=True)
        if t.situation == "own_text"
    ]
    assert own == [steps_of(c, s) for c, _, s in ASKS]


def test_boost_zero_that_moves_anything_is_an_error() -> None:
    lab = resistance_lab()
    kept = lab.kept("esr_unsteered").path("A/answers.jsonl")
    kept.write_text(kept.read_text().replace("First", "Last"))
    with written_by(derailed), pytest.raises(RuntimeError, match="at boost 0"):
        run(PHASE, PARAMS, lab)


def test_the_report_and_the_figures(found: Any) -> None:
    lab = resistance_lab()
    with written_by(derailed):
        rows = run(PHASE, PARAMS, lab)
    kept = lab.kept("esr")
    summary = PHASE.summarize(rows, kept)
    assert summary.metrics["first/esr_rate"] == 1
    assert any("first less free: restarts +1.00" in line for line in summary.lines)
    assert any(line.startswith("after a passage, by what was taught") for line in summary.lines)
    assert any(
        line.startswith("the first that comes back (aligned, first") for line in summary.lines
    )
    assert set(PHASE.draw(rows, kept)) == {"rates-aligned", "scores-aligned"}
    (bars,) = PHASE.draw(rows, kept)["rates-aligned"].get_axes()
    assert len(bars.get_yticklabels()) == 6
    both = [*rows, *(replace(t, model="B") for t in rows)]
    (bars,) = PHASE.draw(both, kept)["rates-aligned"].get_axes()
    assert len(bars.get_yticklabels()) == 2  # of several models `free` alone


def real_lab(root: Path) -> Any:
    """A lab of a tiny model, whose unsteered answers are its own."""
    lab = resistance_lab()
    lab.cache = StatesPlace(root, 10**7)
    lab.phase = "esr_unsteered"
    bench = episodes.episode_bench(lab, "A", "aligned")
    asks = [episodes.Ask(p, s) for p in TEXTS.prompts for s in range(SETTING.seeds)]
    cell = episodes.EpisodeCell(None, 0.0, "unsteered", tuple(asks))
    lab.made["esr_unsteered", "A"] = episodes.trials(bench, [cell], "answers")
    lab.phase = "esr"
    return lab


def test_a_real_model_is_the_same_at_boost_zero_and_when_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it writes, then while it judges: what is there is not written again."""
    assert UNSTEERED.name == "esr_unsteered"
    whole = run(PHASE, PARAMS, real_lab(tmp_path / "whole"))
    lab, written, sample = real_lab(tmp_path / "killed"), [], answer_cache.sample

    def counted(*given: Any) -> Any:
        written.append(len(given[1]))
        if len(written) == 2:
            raise KeyboardInterrupt
        return sample(*given)

    monkeypatch.setattr(answer_cache, "AT_ONCE", 8)
    monkeypatch.setattr(answer_cache, "sample", counted)
    with pytest.raises(KeyboardInterrupt):
        run(PHASE, PARAMS, lab)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(episodes, "judged", killed)
        run(PHASE, PARAMS, lab)
    before = sum(written)
    assert run(PHASE, PARAMS, lab) == whole
    after = sum(written) - before
    assert after == sum(
        t.line is not None for t in whole if t.situation in ("own_text", "restarted", "on_topic")
    )
