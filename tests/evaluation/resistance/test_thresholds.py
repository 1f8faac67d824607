"""Is the boost that derails found for each direction, measured afresh, and refused if no use?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mahals.evaluation.resistance.episodes import episode_bench
from mahals.evaluation.resistance.subjects import directions, thresholds_of
from mahals.evaluation.resistance.thresholds import (
    FRESH,
    Ablation,
    SearchPlan,
    find_thresholds,
    thresholds_text,
)
from mahals.maths.stats.bisection import Bisection
from mahals.models.saes.steering import Hold
from tests.support.resistance_lab import (
    CONCEPTS,
    SETTING,
    TOPICS,
    Request,
    derailed,
    resistance_lab,
    steps_of,
    written_by,
)
from tests.support.small_saes import small

PLAN = SearchPlan(target=50.0, low=0.0, high=8.0, mean=3.0, sd=2.0, queries=12, answers=6)
TURN = {CONCEPTS[0]: 1.5, CONCEPTS[1]: 4.0, CONCEPTS[2]: 20.0, CONCEPTS[3]: 2.5}
"""The boost from which on half of the steps are the concept's."""


def half(asked: Request) -> str:
    """Beyond a concept's turn an answer is wholly on it, at it half; one breaks the text."""
    if asked.concept is None:
        return steps_of(TOPICS[asked.prompt], asked.seed)
    over = asked.boost - TURN[asked.concept]
    if asked.concept == CONCEPTS[3]:  # near its turn every other answer is broken
        broken = over > 0.5 if asked.seed % 2 else over > -0.5
        still = Request(**{**vars(asked), "boost": 0.0})
        return "no no no no no no no no" if broken else derailed(still)
    own = steps_of(TOPICS[asked.prompt], 0).removesuffix(".")
    other = steps_of(asked.concept, 0).removeprefix("First ")
    shares = 100 * max(0.0, min(1.0, 0.5 - over))  # falls from 100 to 0 over one unit of boost
    if shares > 75:
        return own + "."
    return steps_of(asked.concept, 0) if shares < 25 else f"{own}, then {other}"


@pytest.fixture(scope="module")
def found() -> Any:
    lab = resistance_lab()
    along = directions(lab, "A", ["contrast"])
    with written_by(half) as asked:
        return find_thresholds(episode_bench(lab, "A", "aligned"), along, PLAN), asked


def test_thresholds_are_where_answers_turn(found: Any) -> None:
    thresholds, _ = found
    by = {t.concept: t for t in thresholds}
    assert [t.concept for t in thresholds] == list(CONCEPTS)
    for concept in CONCEPTS[:2]:
        t = by[concept]
        assert t.boost == pytest.approx(TURN[concept], abs=0.35) and t.usable and t.why is None
        assert t.reached == pytest.approx(50, abs=15) and t.degenerate_share == 0
        assert t.queries == PLAN.queries and t.target == 50 and not t.hit_bound


def test_what_is_no_use_says_why(found: Any) -> None:
    thresholds, _ = found
    by = {t.concept: t for t in thresholds}
    far, broken = by[CONCEPTS[2]], by[CONCEPTS[3]]
    assert not far.usable and far.hit_bound and "ended at a bound" in (far.why or "")
    assert not broken.usable and broken.degenerate_share == 0.5
    assert broken.why == "50% of the answers there are broken text"


def test_queries_are_of_calibration_and_measured_on_fresh_prompts(found: Any) -> None:
    _, asked = found
    searched, fresh = (
        asked[: PLAN.queries * PLAN.answers * 4],
        asked[PLAN.queries * PLAN.answers * 4 :],
    )
    assert {a.prompt for a in searched} <= set(SETTING.prompts("calibration"))
    assert {a.prompt for a in fresh} == set(SETTING.prompts("evaluation"))
    assert {a.seed for a in fresh} == {FRESH, FRESH + 1}
    for concept in CONCEPTS:
        own = [a for a in searched if a.concept == concept]
        assert len({a.seed for a in own}) == len(own) == PLAN.queries * PLAN.answers
        boosts = [a.boost for a in own]
        assert all(len(set(boosts[i : i + 6])) == 1 for i in range(0, len(boosts), 6))


def test_searches_that_advance_together_are_those_of_one_alone(found: Any) -> None:
    """On the same scores: where answers turn is known."""
    thresholds, asked = found
    for i, t in enumerate(thresholds[:2]):
        own = [a.boost for a in asked if a.concept == t.concept][:: PLAN.answers]
        alone = Bisection(PLAN.search)
        for boost in own[: PLAN.queries]:
            assert alone.boost == pytest.approx(boost)
            alone.tell(score_at(t.concept, boost))
        assert (alone.boost, alone.found().sd) == pytest.approx((t.boost, t.sd)), i


def score_at(concept: str, boost: float) -> float:
    shares = max(0.0, min(1.0, 0.5 - (boost - TURN[concept])))
    return 1.0 if shares > 0.75 else 0.0 if shares < 0.25 else 0.5


def test_under_an_ablation_the_latents_are_held(found: Any) -> None:
    lab = resistance_lab()
    bench, along = episode_bench(lab, "A", "aligned"), directions(lab, "A", ["contrast"])[:1]
    hold = Hold(2, small("relu"), (1,), 0.0)
    with written_by(half) as asked:
        (one,) = find_thresholds(bench, along, PLAN, Ablation("detectors", (hold,)))
    assert one.ablated == "detectors" and {a.holds for a in asked} == {(hold,)}
    assert one.boost == found[0][0].boost


def test_what_is_written_is_read_again(found: Any) -> None:
    lab, (thresholds, _) = resistance_lab(), found
    lab.plant("esr_finetune", "thresholds-x.json", thresholds_text(thresholds))
    assert list(thresholds_of(lab, "A", "x")) == thresholds


def judged_by(score: float | None) -> tuple[Any, int, int]:
    """A threshold of a search whose judge always says `score`; texts judged, answers written."""
    lab = resistance_lab()
    one = directions(lab, "A", ["contrast"])[:1]
    texts = list[Any]()

    def scorer(some: Any) -> list[float | None]:
        texts.extend(some)
        return [score] * len(some)

    bench = replace(episode_bench(lab, "A", "aligned"), scorer=scorer)
    with written_by(half) as asked:
        (found,) = find_thresholds(bench, one, PLAN)
    return found, len(texts), len(asked)


def test_a_judge_that_abstains_teaches_nothing_and_leaves_the_direction_unused() -> None:
    found, *_ = judged_by(None)
    assert found.queries == 0 and found.boost == Bisection(PLAN.search).boost
    assert not found.usable and "no score" in str(found.why)


def test_of_a_search_first_attempts_alone_are_judged() -> None:
    """Thirds and sham cuts would be asked of the judge, and read by nobody."""
    _, texts, answers = judged_by(50.0)
    assert 0 < texts <= answers
