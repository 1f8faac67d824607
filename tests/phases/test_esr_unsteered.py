"""Is the setting written once, with answers that all later phases read, and each of them scored?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from mahals.evaluation.resistance.setting import own_texts
from mahals.phases.esr_unsteered import PHASE
from mahals.phases.esr_unsteered.measure import AttemptJudging, Params
from mahals.records import InputError
from tests.support.em_lab import DiskKept
from tests.support.resistance_lab import (
    COUNTS,
    SETTING,
    TEXTS,
    TOPICS,
    ResistanceLab,
    derailed,
    resistance_lab,
    steps_of,
    written_by,
)
from tests.support.tiny_lab import run

PARAMS = Params(
    texts={"organism": "world", "hub": "own"},
    counts=COUNTS,
    seeds=2,
    temperature=1.0,
    repetition_penalty={"organism": 1.0, "hub": 1.1},
    max_new_tokens={"organism": 6, "hub": 6},
    first_tokens=2,
    depth=0.5,
    read_depth=0.75,
    judging=AttemptJudging({"organism": "truth", "hub": "lexical"}, "", SETTING.server),
)


def bare_lab() -> ResistanceLab:
    lab = replace(resistance_lab(), phase="esr_unsteered")
    lab.made.clear()
    return lab


def test_every_prompt_has_its_answers_and_what_upstream_reads_is_kept() -> None:
    lab = bare_lab()
    with written_by(derailed):
        rows = run(PHASE, PARAMS, lab)
    asked = [(p, s) for p in TEXTS.prompts for s in range(2)]
    assert sorted((t.prompt, t.seed) for t in rows) == sorted(asked)
    assert {(t.situation, t.direction, t.boost, t.subject) for t in rows} == {
        ("unsteered", "none", 0.0, "aligned")
    }
    assert all(t.scores == (100.0,) and not t.restarted for t in rows)
    kept = own_texts(lab, "A")
    assert kept.setting == SETTING
    for prompt, answers in kept.references.items():
        assert answers == tuple(steps_of(TOPICS[prompt], s) for s in range(2))
    assert set(kept.passages) == set(TEXTS.concepts)
    assert all(kept.passages[c][0] == steps_of(c, 0) for c in TEXTS.concepts)


def test_the_report_says_who_judges_and_what_was_planted() -> None:
    lab = bare_lab()
    with written_by(derailed):
        rows = run(PHASE, PARAMS, lab)
    told = PHASE.summarize(rows, DiskKept(lab.root / "esr_unsteered"))
    assert told.metrics["multi_attempt_rate"] == 0.0
    assert told.metrics["multi_attempt_rate_high"] > 0.05
    assert told.metrics["first_score"] == 100.0
    assert any("judge truth" in line for line in told.lines)
    assert any(line.startswith("planted:") for line in told.lines)
    figures = PHASE.draw(rows, DiskKept(lab.root / "esr_unsteered"))
    assert set(figures) == {"first_scores", "false_restarts"}


def test_truth_is_refused_where_it_cannot_know() -> None:
    lab, own = bare_lab(), replace(PARAMS, texts={"organism": "own"})
    with written_by(lambda asked: "some words."), pytest.raises(InputError, match="truth"):
        run(PHASE, own, lab)
