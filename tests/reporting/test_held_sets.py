"""Is a gain over random sets that of a count by hand, and does it need more than one of them?"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mahals.maths.metrics.resistance import ResistanceTrial
from mahals.reporting.evidence import Evidence
from mahals.reporting.held_sets import (
    ONE_SET,
    UNVARIED,
    WEAKER,
    HeldArms,
    beyond_random,
    by_kind,
    held_arms,
    held_summary,
)
from mahals.reporting.published_resistance import published_line
from tests.support.em_lab import DiskKept
from tests.support.trials import attempts, trial

DIRECTIONS, SEEDS = ("contrast:tea", "contrast:kites", "contrast:boats"), (0, 1)


def arm(name: str, restarts: int, score: float = 20.0, **known: Any) -> list[ResistanceTrial]:
    """Six trials, of which the first so many restart and come back."""
    cells = [(d, s) for d in DIRECTIONS for s in SEEDS]
    return [
        attempts(*(score, 90.0)[: 1 + (i < restarts)], ablated=name, direction=d, seed=s, **known)
        for i, (d, s) in enumerate(cells)
    ]


@pytest.fixture
def kept(tmp_path: Path) -> DiskKept:
    sets = {"detectors": 0.1, "kl-0": 0.09, "kl-1": 0.12, "kl-2": 0.1, "uniform-0": 0.01}
    told = [{"name": name, "latents": [1], "kl": kl, "why": None} for name, kl in sets.items()]
    (tmp_path / "A").mkdir()
    (tmp_path / "A" / "sets-aligned.json").write_text(json.dumps(told))
    (tmp_path / "A" / "trials.judge.json").write_text(json.dumps({"sentence": "knows all"}))
    lines = [json.dumps({"prompt": "", "prefix": "", "answer": "First this."})]
    (tmp_path / "A" / "trials.jsonl").write_text("\n".join(lines))
    return DiskKept(tmp_path)


def tell_sets(kept: DiskKept, **kls: float | None) -> None:
    """Other kept sets than those of the fixture."""
    told = [{"name": n.replace("_", "-"), "latents": [1], "kl": x} for n, x in kls.items()]
    kept.path("A/sets-aligned.json").write_text(json.dumps(told))


def line_of(rows: list[ResistanceTrial], kept: DiskKept, kind: str) -> str:
    """What is said of the detectors beyond the sets of a kind."""
    found = held_summary(rows, kept, "esr_random").lines
    (line,) = [x for x in found if "beyond" in x and f"of {kind}" in x]
    return line


def arms_of(rows: list[ResistanceTrial], kept: DiskKept) -> HeldArms:
    (own,) = held_arms(Evidence(rows, kept))
    return own


def test_a_gain_is_over_the_mean_of_the_sets_on_shared_trials(kept: DiskKept) -> None:
    sets = [*arm("kl-0", 6), *arm("kl-1", 4), *arm("kl-2", 2, 50.0)[:-1]]
    rows = [*arm("none", 6), *arm("detectors", 2), *sets]
    own = arms_of(rows, kept)
    rates = [5 / 5, 4 / 5, 2 / 5]  # without the last cell, which one set has not
    found = beyond_random(own, "kl", "multi_attempt_rate")
    assert found is not None and found.interval.estimate == pytest.approx(2 / 5 - sum(rates) / 3)
    assert found.p_random == 2 / 4 and found.n_random == 3
    assert found.interval.low < found.interval.estimate < found.interval.high
    first = beyond_random(own, "kl", "first_score")
    assert first is not None and first.interval.estimate == pytest.approx(20 - 90 / 3)
    assert first.p_random == 3 / 4
    assert own.kls["kl-1"] == 0.12


def test_one_set_or_no_detectors_are_no_comparison(kept: DiskKept) -> None:
    one = arms_of([*arm("detectors", 2), *arm("uniform-0", 6)], kept)
    assert beyond_random(one, "uniform", "esr_rate") is None
    without = arms_of([*arm("none", 2), *arm("kl-0", 6), *arm("kl-1", 6)], kept)
    assert beyond_random(without, "kl", "esr_rate") is None


def test_sets_of_a_kind_are_told_together_by_situation(kept: DiskKept) -> None:
    rows = [
        *arm("none", 1, situation="passage"),
        *arm("none", 6),
        *arm("kl-0", 6, situation="passage"),
        *arm("kl-1", 0, situation="passage"),
        trial(line=None, why="none was found", ablated="detectors", starts=(), scores=()),
    ]
    found = by_kind(rows)
    assert [t.situation for t in found] == ["free"] * 7 + ["passage"] * 18
    assert {t.ablated for t in found} == {"none", "detectors", "equal KL"}
    summary = held_summary(rows, kept, "esr_random")
    assert summary.metrics["passage/equal_KL/multi_attempt_rate"] == 0.5
    assert "1 trials absent: none was found" in summary.lines
    assert summary.lines[-1] == published_line("esr_random")
    assert not any("less none" in line for line in summary.lines)


@pytest.mark.parametrize("situation", ["free", "passage"])
def test_weaker_steering_is_said_where_something_is_steered(situation: str, kept: DiskKept) -> None:
    scores = {"none": 20.0, "detectors": 40.0}
    rows = [t for n, score in scores.items() for t in arm(n, 3, score, situation=situation)]
    rows = [replace(t, scores=(t.scores[0] + i % 2, *t.scores[1:])) for i, t in enumerate(rows)]
    lines = held_summary(rows, kept, "esr_random").lines
    assert any("detectors less none: first score +20 [+20, +20]" in x for x in lines)
    assert any(WEAKER in x for x in lines) == (situation == "free")


def test_a_kl_of_nothing_is_a_kl(kept: DiskKept) -> None:
    rows = [*arm("none", 6), *arm("detectors", 2), *arm("kl-0", 6), *arm("kl-1", 4)]
    tell_sets(kept, detectors=0.0, kl_0=0.0, kl_1=0.0, kl_2=None)
    assert arms_of(rows, kept).kls == {"detectors": 0.0, "kl-0": 0.0, "kl-1": 0.0}
    assert "(KL 0.000 nats a token, theirs 0.000 to 0.000)" in line_of(rows, kept, "equal KL")
    tell_sets(kept, detectors=0.1)
    assert "2 random sets of equal KL; first score" in line_of(rows, kept, "equal KL")


def test_a_share_of_sets_and_a_p_are_told_apart(kept: DiskKept) -> None:
    sets = [*arm("kl-0", 6), *arm("kl-1", 4), *arm("kl-2", 2)]
    line = line_of([*arm("none", 6), *arm("detectors", 2), *sets], kept, "equal KL")
    assert "restarts -0.33 [" in line and "], 1 of 3 sets as low, p = 0.50" in line
    metrics = held_summary([*arm("none", 6), *arm("detectors", 0), *sets], kept, "esr_random")
    assert metrics.metrics["beyond_kl/esr_rate_p_random"] == 1 / 4
    lowest = line_of([*arm("none", 6), *arm("detectors", 0), *sets], kept, "equal KL")
    assert "], 0 of 3 sets as low, p = 0.25" in lowest


def test_one_set_gives_a_plain_difference_and_the_reason(kept: DiskKept) -> None:
    rows = [*arm("none", 6), *arm("detectors", 2, 30.0), *arm("uniform-0", 5)]
    assert line_of(rows, kept, "equal size") == (
        "detectors beyond 1 random set of equal size (KL 0.100 nats a token, its 0.010); first "
        f"score +10; restarts -0.50; comes back (ESR) -0.50 ({ONE_SET})"
    )
    metrics = held_summary(rows, kept, "esr_random").metrics
    assert not any(name.startswith("beyond_") for name in metrics)


def test_one_prompt_gives_plain_differences_and_the_reason(kept: DiskKept) -> None:
    names = {"none": 6, "detectors": 2, "kl-0": 6, "kl-1": 4}
    rows = [t for n, k in names.items() for t in arm(n, k) if t.direction == DIRECTIONS[0]]
    line = line_of(rows, kept, "equal KL")
    assert line.endswith(f"comes back (ESR) +0.00 ({UNVARIED})")
