"""Is what an answer begins with the text it should be, and absent where there is none?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mahals.data.composed import restart_of
from mahals.evaluation.resistance import openings
from mahals.evaluation.resistance.episodes import Ask, EpisodeBench, EpisodeCell, episode_bench
from mahals.evaluation.resistance.openings import (
    Own,
    after_derailment,
    is_unmoved,
    passage_cells,
    unsteered_answers,
)
from mahals.evaluation.resistance.subjects import BoostDirection, directions
from mahals.models.generation.sampling import sample
from tests.support.resistance_lab import (
    CONCEPTS,
    SETTING,
    TEXTS,
    TOPICS,
    direction_row,
    lines,
    resistance_lab,
    steps_of,
)
from tests.support.trials import attempts, trial

PROMPT = SETTING.prompts("evaluation")[0]
OWN: Own = {(PROMPT, 0): ("First mix it, then wait, then go on.", 50.0)}
LONG = "This is about boats. They float well. Some have sails and some have none at all."


@pytest.fixture(scope="module")
def bench() -> EpisodeBench:
    return episode_bench(resistance_lab(), "A", "aligned")


def after(answer: str, **known: Any) -> dict[str, Ask]:
    """The ask of each situation after one free trial with that answer."""
    made = attempts(*known.pop("scores", (0,)), prompt=PROMPT, **known)
    free = EpisodeCell(None, 2.0, "free", (Ask(PROMPT, 0),), ablated="x")
    cells = after_derailment(free, [made], [answer], OWN)
    assert [c.boost for c in cells] == [0.0, 2.0, 2.0] and all(c.ablated == "x" for c in cells)
    return {c.situation: c.asks[0] for c in cells}


def test_derailed_text_is_cut_at_the_sentence_nearest_to_its_half() -> None:
    asks = after(LONG)
    text = "This is about boats. They float well."
    assert asks["own_text"] == Ask(PROMPT, 0, text)
    assert asks["restarted"] == Ask(PROMPT, 0, f"{text} {restart_of(PROMPT).strip()}")


def test_a_good_answer_is_as_long_in_whole_words_and_leaves_a_third() -> None:
    assert after("I like it.")["on_topic"].prefix == "First mix"  # of ten characters
    own, _ = OWN[PROMPT, 0]
    held = after(LONG)["on_topic"].prefix
    assert own.startswith(held + " ") and len(held) <= 2 * len(own) / 3


def test_of_an_answer_that_restarts_the_first_attempt_is_put_there() -> None:
    known = {"scores": (20, 90), "starts": (0, 21)}
    made = trial(prompt=PROMPT, **known)
    free = EpisodeCell(None, 2.0, "free", (Ask(PROMPT, 0),))
    own_text, *_ = after_derailment(free, [made], [LONG], OWN)
    assert own_text.asks[0].prefix == "This is about boats."


def test_what_was_not_derailed_in_words_is_absent() -> None:
    whys = {
        "the steered answer did not leave the topic": after(LONG, scores=(50,)),
        "the steered answer is broken text": after(LONG, degenerate=True),
    }
    for why, asks in whys.items():
        assert [(a.why, a.prefix) for a in asks.values()] == [(why, "")] * 3
    unknown = after(LONG, scores=(None,))["own_text"].why
    assert unknown == "the judge gave the steered answer no score"
    made = trial(line=None, why="no usable threshold: x", prompt="")
    free = EpisodeCell(None, 2.0, "free", (Ask("", 0, why="x"),))
    assert {c.asks[0].why for c in after_derailment(free, [made], [], {})} == {made.why}


def test_answers_are_those_of_the_trials_that_were_made() -> None:
    """The first trial is absent: the one answer is the second's."""
    made = [trial(line=None, why="x", prompt="a"), attempts(0, prompt=PROMPT)]
    asks = (Ask("a", 0, why="x"), Ask(PROMPT, 0))
    own_text, *_ = after_derailment(EpisodeCell(None, 2.0, "free", asks), made, [LONG], OWN)
    assert [(a.prompt, bool(a.prefix)) for a in own_text.asks] == [("a", False), (PROMPT, True)]


def test_without_an_unsteered_answer_only_on_topic_is_absent() -> None:
    free = EpisodeCell(None, 2.0, "free", (Ask(PROMPT, 0),))
    cells = after_derailment(free, [attempts(0, prompt=PROMPT)], [LONG], {})
    assert [c.asks[0].why for c in cells] == [
        None,
        None,
        "its own unsteered answer is not on the topic",
    ]
    for score in (None, 49.0):
        own: Own = {(PROMPT, 0): (OWN[PROMPT, 0][0], score)}
        cells = after_derailment(free, [attempts(0, prompt=PROMPT)], [LONG], own)
        assert [c.asks[0].why is None for c in cells] == [True, True, False]


def along_of(concept: str) -> list[BoostDirection]:
    return directions(resistance_lab(concepts=[concept]), "A", ["contrast"])


def test_passages_are_on_the_concept_and_never_on_the_prompts_own(bench: EpisodeBench) -> None:
    for concept in CONCEPTS:
        (cell,) = passage_cells(bench, along_of(concept))
        asks = cell.asks
        assert len(asks) == SETTING.seeds * sum(
            TOPICS[p] != concept for p in SETTING.prompts("evaluation")
        )
        prompted = TEXTS.concepts[concept] in TEXTS.prompts
        assert all(a.prefix == steps_of(concept, a.seed if prompted else 0) for a in asks)
    (taught,) = passage_cells(bench, along_of(CONCEPTS[0]), "taught")
    assert {a.prompt for a in taught.asks} <= set(SETTING.prompts("taught"))


def test_a_concept_has_one_cell_of_passages(bench: EpisodeBench) -> None:
    lab = resistance_lab()
    lab.made["esr_saes", "A"] = [
        direction_row(f"contrast:{CONCEPTS[1]}", "contrast", "none"),  # as a random one
        *lab.made["esr_saes", "A"],
        direction_row(f"contrast:{CONCEPTS[0]}", "latent", CONCEPTS[0]),
    ]
    along: list[BoostDirection] = directions(lab, "A", ["contrast", "latent"])
    cells = passage_cells(bench, along)
    assert [(c.direction.concept, c.direction.source) for c in cells if c.direction] == [
        (c, "contrast") for c in CONCEPTS
    ]
    assert {(c.boost, c.situation) for c in cells} == {(0.0, "passage")}


def test_stored_unsteered_answers_are_of_the_subject() -> None:
    lab = resistance_lab()
    found = unsteered_answers(lab, "A", "aligned")
    assert found == {
        (p, s): (steps_of(t, s), found[p, s][1])
        for p, t in TOPICS.items()
        if p in TEXTS.prompts
        for s in (0, 1)
    }
    lab.plant("esr_finetune", "trials-planted.jsonl", lines([("x", "no"), (PROMPT, "its own")]))
    known = {"answers": "A/trials-planted.jsonl", "prompt": PROMPT}
    lab.made["esr_finetune", "A"] = [
        trial(**known, subject="planted", situation="free", line=0),
        trial(**known, subject="planted", situation="unsteered", line=1, scores=(70.0,)),
        trial(**known, subject="sham", situation="unsteered", line=0),
        trial(**known, subject="planted", situation="unsteered", line=None, why="x", seed=1),
    ]
    assert unsteered_answers(lab, "A", "planted") == {(PROMPT, 0): ("its own", 70.0)}


def test_a_real_checkpoint_at_boost_0_is_compared_in_equal_batches(bench: EpisodeBench) -> None:
    """The model itself writes: what is stored may differ by rounding, and a boost moves it."""
    real: Any = resistance_lab()
    real.weights = "hub"
    one = directions(bench.lab, "A", ("contrast",))[0]
    asks = tuple(Ask(PROMPT, s) for s in range(4))
    moved = replace(one, vector=100 * one.vector)
    for boost, unmoved in ((0.0, True), (3.0, False)):
        cell = EpisodeCell(moved, boost, "free", asks)
        beside = replace(cell, boost=3.0)
        assert is_unmoved(replace(bench, lab=real), cell, beside, [], {}) == unmoved


def test_a_steering_that_reaches_other_rows_of_its_batch_is_seen(
    bench: EpisodeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken on purpose: what steers one row steers all of them."""
    real: Any = resistance_lab()
    real.weights = "hub"
    one = directions(bench.lab, "A", ("contrast",))[0]
    zero = EpisodeCell(replace(one, vector=100 * one.vector), 0.0, "free", (Ask(PROMPT, 0),))
    beside = replace(zero, boost=3.0)

    def leaking(loaded: Any, drafts: Any, sampling: Any) -> Any:
        (steered,) = {d.arm for d in drafts if d.arm.active} or {drafts[0].arm}
        return sample(loaded, [replace(d, arm=steered) for d in drafts], sampling)

    assert is_unmoved(replace(bench, lab=real), zero, beside, [], {})
    monkeypatch.setattr(openings, "sample", leaking)
    assert not is_unmoved(replace(bench, lab=real), zero, beside, [], {})
