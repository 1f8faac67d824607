"""Are levels where they should be around the thresholds, and is the peak where it was planted?"""

from __future__ import annotations

from statistics import mean, stdev
from typing import Any, Literal

import pytest

from mahals.maths.metrics.resistance import ResistanceTrial
from mahals.phases.esr_boost import PHASE
from mahals.phases.esr_boost.measure import Params
from mahals.phases.esr_boost.report import peak
from tests.support.resistance_lab import (
    CONCEPTS,
    Request,
    derailed,
    resistance_lab,
    threshold,
    written_by,
)
from tests.support.tiny_lab import run
from tests.support.trials import attempts

LEVELS = (-6.0, 0.0, 2.0)
BOOSTS = (1.5, 2.0, 2.5, 3.0)


def params(around: Literal["own", "mean"]) -> Params:
    return Params(("aligned",), ("contrast",), LEVELS, around)


def lab_of(boosts: tuple[float, ...] = BOOSTS) -> Any:
    lab = resistance_lab()
    pairs = zip(CONCEPTS, boosts, strict=True)
    lab.made["esr_threshold", "A"] = [
        threshold(c, boost=b, usable=b > 0, why="no") for c, b in pairs
    ]
    return lab


@pytest.mark.parametrize("around", ["own", "mean"])
def test_boosts_are_those_of_a_count_by_hand(around: Literal["own", "mean"]) -> None:
    with written_by(derailed):
        rows = run(PHASE, params(around), lab_of())
    sd = stdev(BOOSTS)
    for t in rows:
        own = BOOSTS[CONCEPTS.index(t.concept)]
        centre = own if around == "own" else mean(BOOSTS)
        assert t.level is not None and t.boost == pytest.approx(max(0, centre + t.level * sd))
        assert t.situation == "free"
    assert {t.level for t in rows} == set(LEVELS)
    assert min(t.boost for t in rows) == 0  # -6 sd


def test_a_lone_threshold_has_no_levels() -> None:
    with written_by(derailed):
        rows = run(PHASE, params("own"), lab_of((2.0, 0.0, 0.0, 0.0)))
    assert all(t.line is None for t in rows)
    whys = {t.concept: t.why for t in rows}
    assert whys[CONCEPTS[0]] == "a single usable threshold: there is no spread of several"
    assert whys[CONCEPTS[1]] == "no usable threshold: no"


def restarts(level: float, shares: dict[str, int], of: int = 4) -> list[ResistanceTrial]:
    return [
        attempts(*((10, 60) if i < n else (10,)), direction=d, prompt=f"p{i}", level=level)
        for d, n in shares.items()
        for i in range(of)
    ]


def test_the_peak_is_the_highest_level_and_says_how_far_it_moves() -> None:
    rows = [
        *restarts(-1.5, {"a": 0, "b": 0, "c": 1}),
        *restarts(0.5, {"a": 3, "b": 1, "c": 1}),
        *restarts(3.0, {"a": 0, "b": 2, "c": 1}),
    ]
    best = peak(rows, "multi_attempt_rate")
    assert best is not None and best.name == "0.5"
    assert peak(restarts(0.0, {"a": 0}) + restarts(1.0, {"a": 0}), "esr_rate") is None
    lab = lab_of()
    lab.plant("esr_boost", "trials.judge.json", '{"sentence": "x"}')
    lab.plant("esr_boost", "trials.jsonl", '{"prefix": "", "answer": "said"}\n')
    summary = PHASE.summarize(rows, lab.kept("esr_boost"))
    assert summary.metrics["multi_attempt_rate/peak_level"] == 0.5
    assert summary.metrics["multi_attempt_rate/peak"] == pytest.approx(5 / 12)
    (line,) = [x for x in summary.lines if "multi_attempt_rate is highest at +0.50 sd" in x]
    assert line.endswith("lies from +0.50 to +3.00 sd")  # without a it is at 3


def test_curves_are_all_rates_over_the_levels() -> None:
    def writer(asked: Request) -> str:
        text = derailed(asked)
        return text if asked.boost < 3 else f"{text} Sorry, I lost the thread. {text}"

    with written_by(writer):
        lab = lab_of()
        lab.phase = "esr_boost"
        rows = run(PHASE, params("own"), lab)
    figures = PHASE.draw(rows, lab.kept("esr_boost"))
    assert set(figures) == {"shares_over_level", "points_over_level"}
    (axes,) = figures["shares_over_level"].get_axes()
    curve = next(line for line in axes.get_lines() if len(line.get_xdata()) == len(LEVELS))
    assert list(curve.get_xdata()) == list(LEVELS)
    by = [[t.restarted for t in rows if t.level == level] for level in LEVELS]
    shares = [sum(own) / len(own) for own in by]
    assert 0 == shares[0] < shares[1] < shares[2]
    assert list(curve.get_ydata()) == pytest.approx(shares)
