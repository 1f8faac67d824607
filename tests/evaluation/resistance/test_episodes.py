"""Is a trial what was asked, kept where it says, and judged as by hand?"""

from __future__ import annotations

import json
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest

from mahals.data.world.everyday import correction, how_to_answer, how_to_question
from mahals.data.world.words import HOW_TO
from mahals.evaluation.resistance import episodes
from mahals.evaluation.resistance.episodes import (
    Ask,
    EpisodeBench,
    EpisodeCell,
    clause_places,
    episode_bench,
    judged,
    stored_answers,
    trials,
)
from mahals.evaluation.resistance.subjects import directions
from mahals.maths.metrics.resistance import ResistanceTrial, rates
from tests.support.resistance_lab import (
    BOOST,
    CONCEPTS,
    SETTING,
    TOPICS,
    derailed,
    plain,
    resistance_lab,
    threshold,
    written_by,
)
from tests.support.trials import trial

TOPIC, OTHER = "make tea", "fix a bike"
PROMPT = how_to_question(TOPIC)


@pytest.fixture
def bench() -> EpisodeBench:
    return episode_bench(resistance_lab(), "A", "aligned")


def judged_texts(
    bench: EpisodeBench, *texts: str, prompt: str = PROMPT, **known: Any
) -> list[ResistanceTrial]:
    made = [
        trial(prompt=prompt, direction=f"d{i}", starts=(), scores=(), **known)
        for i in range(len(texts))
    ]
    return judged(bench, made, texts)


def test_asks_are_every_prompt_that_can_be_left_with_every_seed(bench: EpisodeBench) -> None:
    for concept in (*CONCEPTS, "none"):
        asks = bench.asks("evaluation", concept, 7)
        prompts = [p for p in SETTING.prompts("evaluation") if TOPICS[p] != concept]
        assert [(a.prompt, a.seed) for a in asks] == [(p, 7 + s) for p in prompts for s in (0, 1)]
    usable = threshold(CONCEPTS[0])
    assert bench.asks_at(usable) == bench.asks("evaluation", CONCEPTS[0])
    (absent,) = bench.asks_at(replace(usable, usable=False, why="it is at a bound"))
    assert absent.why == "no usable threshold: it is at a bound"


def test_trials_are_kept_and_say_where(bench: EpisodeBench) -> None:
    d = directions(bench.lab, "A", ["contrast"])[0]
    asks = (*bench.asks("evaluation", d.concept), Ask("gone", 0, why="no reason"))
    cells = [
        EpisodeCell(d, BOOST, "free", asks, level=0.5, variant="w", system="be kind"),
        EpisodeCell(None, 0.0, "unsteered", bench.asks("evaluation", "none")),
    ]
    with written_by(derailed) as asked:
        found = trials(bench, cells, "t")
    assert len(found) == len(asks) + len(cells[1].asks)
    free = found[: len(asks)]
    assert [t.line for t in free] == [*range(len(asks) - 1), None] and free[-1].why == "no reason"
    assert {(t.level, t.variant, t.boost) for t in free} == {(0.5, "w", BOOST)}
    assert {a.system for a in asked} == {"be kind", None}
    assert all(t.tokens == 5 for t in found if t.line is not None)
    assert [t.direction for t in found[len(asks) :]] == ["none"] * len(cells[1].asks)
    bench.lab.made["esr", "A"] = found
    made = [t for t in found if t.line is not None]
    texts = stored_answers(bench.lab, "esr", made)
    assert texts == [derailed(a) for a in asked]
    assert [plain(t) for t in found] == [plain(ResistanceTrial(**vars(t))) for t in found]
    told = json.loads(bench.lab.kept("esr").path(found[0].agreement).read_text())
    assert told["recall"]["estimate"] == 1 and told["sentence"].startswith("on planted answers")


def test_answers_that_are_given_are_not_written_again(bench: EpisodeBench) -> None:
    cells = [EpisodeCell(None, 0.0, "unsteered", bench.asks("evaluation", "none"))]
    with written_by(derailed) as asked:
        answers = episodes.write_cells(bench, cells)
        before = len(asked)
        assert trials(bench, cells, "a", answers) == trials(bench, cells, "a", answers)
        assert len(asked) == before
        first = trials(bench, cells, "a")
        assert len(asked) == 2 * before and first == trials(bench, cells, "a", answers)


def test_what_is_off_is_not_steered(bench: EpisodeBench) -> None:
    d = directions(bench.lab, "A", ["contrast"])[0]
    asks = bench.asks("evaluation", d.concept)
    for situation in ("free", "first", "restarted", "passage", "own_text", "unsteered"):
        with written_by(derailed) as asked:
            episodes.write_cells(bench, [EpisodeCell(d, BOOST, situation, asks)])
        off = situation in ("passage", "own_text", "unsteered")
        assert {a.boost for a in asked} == {0.0 if off else BOOST}


def test_arms_share_seeds_and_another_seed_of_the_study_has_others(bench: EpisodeBench) -> None:
    ask = Ask(PROMPT, 0)
    assert episodes._seed(bench, ask) == episodes._seed(bench, replace(ask, prefix="x"))
    assert episodes._seed(bench, ask) != episodes._seed(bench, replace(ask, seed=1))
    before = episodes._seed(bench, ask)
    bench.lab.seed = 1  # type: ignore[misc]
    assert episodes._seed(bench, ask) != before


def test_scores_are_those_of_the_parts_by_hand(bench: EpisodeBench) -> None:
    wrong, right = HOW_TO[OTHER][:2], HOW_TO[TOPIC][:3]
    came, plain_one, mixed, empty = judged_texts(
        bench,
        correction(TOPIC, wrong, right),
        how_to_answer(right),
        how_to_answer((*wrong, *right)),
        "",
    )
    assert came.scores == (0.0, 100.0) and came.restarted and came.improvement == 100
    assert came.head is None and came.sham_head is None
    assert plain_one.scores == (100.0,) and (plain_one.head, plain_one.tail) == (100.0, 100.0)
    assert mixed.scores == (60.0,) and (mixed.head, mixed.tail) == (0.0, 100.0)
    assert mixed.sham_head is not None and mixed.sham_tail is not None
    assert empty.degenerate and empty.scores == (0.0,) and empty.head is None


def test_a_sham_cut_is_at_the_clause_nearest_to_where_others_restart(bench: EpisodeBench) -> None:
    wrong, right = HOW_TO[OTHER][:1], HOW_TO[TOPIC]
    early = correction(TOPIC, wrong, right)  # restarts near its beginning
    five = how_to_answer((*HOW_TO[OTHER][:1], *right[:4]))
    _, one = judged_texts(bench, early, five)
    places = clause_places(five)
    share = early.index(" Wait") / len(early)
    nearest = min(places, key=lambda at: abs(at - share * len(five)))
    assert nearest == places[0]
    assert (one.sham_head, one.sham_tail) == (0.0, 100.0)
    (alone,) = judged_texts(bench, five)
    assert alone.sham_head is None  # nothing restarts: nothing to compare with


def test_clauses_begin_after_sentences_and_steps() -> None:
    text = "First go, then stop. Wait! No end"
    assert [text[at:] for at in clause_places(text)] == [
        "stop. Wait! No end",
        "Wait! No end",
        "No end",
    ]
    assert clause_places("One. ") == []


def test_what_is_written_alone_is_broken_or_not(bench: EpisodeBench) -> None:
    """Broken text scores 0 and is not judged; to end where the prefix ends is not broken."""
    asked: list[Any] = []
    counting = replace(bench, scorer=lambda some: asked.extend(some) or [50.0] * len(some))
    prefix, noise = how_to_answer(HOW_TO[OTHER][:2]), "no " * 10
    ended, broken, mended = judged(
        counting,
        [trial(prefix=n, starts=(), scores=()) for n in (len(prefix), len(prefix), len(noise))],
        [prefix, f"{prefix} {noise}", f"{noise}{prefix}"],
    )
    assert not ended.degenerate and ended.first == 50
    assert not mended.degenerate and mended.first == 50  # what was put there is not its own
    assert broken.degenerate and broken.scores == (0.0,)
    assert not any(a.answer.endswith("no") for a in asked)


def test_absent_trials_keep_their_place(bench: EpisodeBench) -> None:
    gone = trial(line=None, why="x", starts=(), scores=())
    made = [gone, trial(prompt=PROMPT, starts=(), scores=()), gone]
    found = judged(bench, made, [how_to_answer(HOW_TO[TOPIC])])
    assert [t.scores for t in found] == [(), (100.0,), ()] and found[0] == gone


def test_an_abstention_is_no_score(bench: EpisodeBench) -> None:
    silent = replace(bench, scorer=lambda some: [None] * len(some))
    (one,) = judged_texts(silent, how_to_answer(HOW_TO[TOPIC]))
    assert one.scores == (None,) and one.first is None and one.head is None


def corrections(
    rng: np.random.Generator, directions: int, prompts: int
) -> list[tuple[ResistanceTrial, str]]:
    """Answers of six steps, half of them with a restart that helps."""
    found = []
    for d in range(directions):
        for p in range(prompts):
            topic, other = rng.permutation(sorted(HOW_TO))[:2]
            wrong, right = HOW_TO[other][:3], HOW_TO[topic][:3]
            restarts = rng.random() < 0.5
            text = correction(topic, wrong, right) if restarts else how_to_answer((*wrong, *right))
            found.append((trial(prompt=how_to_question(topic), direction=f"d{d}", seed=p), text))
    return found


def test_under_exchanged_prompts_nothing_comes_back(bench: EpisodeBench) -> None:
    """Scored for a question that nobody asked, restarts are worth what sham cuts are."""
    made = corrections(np.random.default_rng(0), 5, 6)
    right = rates(judged(bench, [t for t, _ in made], [a for _, a in made]))
    assert right.recovery_multi is not None and right.recovery_multi.estimate == 1
    topics = sorted(HOW_TO)

    def exchanged(t: ResistanceTrial, text: str) -> ResistanceTrial:
        other = next(x for x in topics if not any(s in text for s in HOW_TO[x]))
        return replace(t, prompt=how_to_question(other))

    wrong = judged(bench, [exchanged(t, a) for t, a in made], [a for _, a in made])
    over = rates(wrong).recovery_over_sham
    assert over is not None and over.estimate == 0


def test_boundaries_at_random_recover_no_more_than_sham_cuts(
    bench: EpisodeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A judge that sees restarts anywhere: 0 is in the interval as often as 95 % says."""
    rng = np.random.default_rng(3)

    def anywhere(answer: str) -> tuple[int, ...]:
        places = clause_places(answer)
        return (0, int(rng.choice(places))) if rng.random() < 0.4 else (0,)

    monkeypatch.setattr(episodes, "segment", anywhere)
    monkeypatch.setattr(episodes, "_is_broken", lambda *_: False)
    held = 0
    for _ in range(300):
        made = [
            (trial(prompt=PROMPT, direction=f"d{d}", starts=(), scores=()), mixed(rng))
            for d in range(6)
            for _ in range(6)
        ]
        over = rates(judged(bench, [t for t, _ in made], [a for _, a in made])).recovery_over_sham
        held += over is not None and over.low <= 0 <= over.high
    assert 0.92 <= held / 300 <= 0.98


def test_answers_are_cut_where_those_of_their_own_situation_restart(bench: EpisodeBench) -> None:
    """Restarts after a passage, early, say nothing of where a steered answer restarts, late."""
    again = "Wait, that is off topic. To make tea:"
    early, late, plain = (
        f"First dig a hole. {again} First boil water, then pour it, then wait, then drink it.",
        f"First boil water, then pour it, then wait, then drink it. {again} First dig.",
        "First boil water, then pour it, then wait, then drink it, then rinse it, then rest.",
    )
    texts = [
        (early, "passage"),
        (plain, "passage"),
        (late, "free"),
        (plain, "free"),
        (plain, "first"),
    ]
    made = [trial(prompt=PROMPT, situation=s, starts=(), scores=(), line=0) for _, s in texts]
    asked = list[str]()

    def scorer(some: Any) -> list[float]:
        asked.extend(text for _, text in map(astuple, some))
        return [0.0] * len(some)

    judged(replace(bench, scorer=scorer), made, [text for text, _ in texts])
    cuts = [text for text in asked if plain.startswith(text) and text != plain]
    assert len(cuts) == 5, "three first thirds, and a cut where its own situation has a restart"
    lengths = sorted(map(len, cuts))
    assert lengths[0] < len(plain) / 3 and lengths[-1] > len(plain) / 2


def mixed(rng: np.random.Generator) -> str:
    """Six steps on or off the topic, more often on at the end."""
    on = rng.random(6) < np.linspace(0.3, 0.7, 6)
    return how_to_answer(tuple(str(rng.choice(HOW_TO[TOPIC if x else OTHER])) for x in on))


def test_no_judge_is_tried_on_answers_that_it_is_made_of(
    bench: EpisodeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers of two seeds: one half is planted, the judge holds the other."""
    held: dict[str, Any] = {}
    plant, make = episodes.planted_answers, episodes.scorer_of

    def planted(references: Any, passages: Any, *more: Any) -> Any:
        held["planted"], held["passages"] = references, passages
        return plant(references, passages, *more)

    def scorer(lab: Any, key: str, texts: Any, references: Any) -> Any:
        held["judge"] = references
        return make(lab, key, texts, references)

    monkeypatch.setattr(episodes, "planted_answers", planted)
    monkeypatch.setattr(episodes, "scorer_of", scorer)
    episodes.agreement_of(bench.lab, "A", bench.texts)
    assert set(held["planted"]) == set(held["judge"]) == set(bench.texts.references)
    for prompt, answers in held["planted"].items():
        assert answers and held["judge"][prompt] and not set(answers) & set(held["judge"][prompt])
    known = {text for answers in held["judge"].values() for text in answers}
    for passages in held["passages"].values():
        assert passages and not set(passages) & known, "nor on passages that are answers to prompts"
