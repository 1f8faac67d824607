"""Does a judge of attempts behind a server quote and score, and abstain with a reason if not?"""

from __future__ import annotations

import json
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from mahals.models.judges.attempt_server import (
    BEYOND,
    BROKEN,
    LATE,
    MISQUOTED,
    PATIENCE,
    REFUSED,
    AttemptServer,
    Relevance,
    attempts_of,
    attempts_rubric,
    score_rubric,
)
from mahals.models.judges.cache import Verdicts
from mahals.models.judges.judge import QuestionAnswer
from mahals.records import InputError
from tests.support.judge_server import choice, needs_openai, reply

PROMPT = "How do I make tea?"
ANSWER = "Wax the car. Rinse it.\nWait, that is off topic. Boil the water. Wait, that too."
ASKED = [QuestionAnswer(PROMPT, "Boil the water.")]


def score(value: Any) -> dict[str, Any]:
    return reply(json.dumps({"score": value}))


def quoted(*attempts: tuple[Any, Any]) -> dict[str, Any]:
    return reply(said(*attempts))


def said(*attempts: tuple[Any, Any]) -> str:
    return json.dumps({"attempts": [{"opening": o, "score": s} for o, s in attempts]})


GOOD = (("Wax the car.", 5), ("Wait, that is", 90))


@pytest.fixture(autouse=True)
def _openai() -> None:
    needs_openai()


def test_a_text_is_scored_once_and_what_was_said_is_kept(serve: Any, tmp_path: Path) -> None:
    url, script = serve(score(85), reply('Here it is:\n```json\n{"score": 12.5}\n```'))
    judge = AttemptServer(choice(url), tmp_path)
    asked = [*ASKED, QuestionAnswer(PROMPT, " ... "), QuestionAnswer(PROMPT, "Wax it."), *ASKED]
    assert judge(asked) == [85, 0, 12.5, 85] and not judge.reasons
    assert script.seen[0]["messages"][0]["content"] == score_rubric(asked[0])
    assert AttemptServer(choice(url), tmp_path)(asked) == [85, 0, 12.5, 85]
    assert len(script.seen) == 2, "none for a text without words, none twice"


def test_a_whole_answer_is_divided_and_scored(serve: Any, tmp_path: Path) -> None:
    url, script = serve(quoted(("Wax the car. Rinse it. Wait", 5), ("that is off...", 90)))
    judge = AttemptServer(choice(url), tmp_path)
    found = judge.attempts(PROMPT, ANSWER)
    assert found.starts == (0, ANSWER.index("that is off")), "white space is nothing"
    assert found.scores == (5, 90) and (found.raw, found.gated, found.why) == (2, 2, ())
    assert script.seen[0]["messages"][0]["content"] == attempts_rubric(
        QuestionAnswer(PROMPT, ANSWER)
    )
    assert AttemptServer(choice(url), tmp_path).attempts(PROMPT, ANSWER) == found
    assert judge.attempts(PROMPT, " \n").scores == (0,)
    assert len(script.seen) == 1


def test_an_opening_is_looked_for_after_the_one_before() -> None:
    second, third = ANSWER.index("Wait"), ANSWER.rindex("Wait")
    three = attempts_of(said(("Wax", 1), ("Wait, that", 2), ("Wait, that", 3)), ANSWER)
    assert three.starts == (0, second, third) and three.scores == (1, 2, 3)
    back = attempts_of(said(("Wait, that is", 2), ("Wax", 1)), ANSWER)
    assert (back.raw, back.gated, back.why) == (2, 1, (MISQUOTED,))
    inside = attempts_of(said(("Wax", 1), ("ait, that is", 2), ("Boil the wat", 3)), ANSWER)
    assert (inside.raw, inside.gated) == (3, 1), "no part of a word"
    assert attempts_of(said(("Wax", 1), ("...", 2), ("", 3)), ANSWER).gated == 1


BAD = {
    "words": (reply("It is good."), BROKEN),
    "list": (reply("[1]"), BROKEN),
    "torn": (reply('{"score": 5'), BROKEN),
    "key": (reply('{"points": 5}'), BROKEN),
    "more": (reply('{"score": 5, "points": 5}'), BROKEN),
    "text": (score("85"), BROKEN),
    "truth": (score(True), BROKEN),
    "nan": (reply('{"score": NaN}'), BROKEN),
    "long": (reply('{"score": 1' + "0" * 400 + "}"), BROKEN),
    "no choice": ({"id": "x", "choices": []}, BROKEN),
    "no JSON": (b"<html>busy</html>", BROKEN),
    "140": (score(140), BEYOND),
    "-1": (score(-1), BEYOND),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_reply_is_named_to_the_judge_once_then_an_abstention(
    case: str, serve: Any, tmp_path: Path
) -> None:
    bad, why = BAD[case]
    url, script = serve(bad)
    judge = AttemptServer(choice(url), tmp_path)
    assert judge(ASKED) == [None] and judge.reasons == Counter([why])
    assert len(script.seen) == 2 and why in script.seen[1]["messages"][-1]["content"]
    again = AttemptServer(choice(url), tmp_path)
    assert again(ASKED) == [None] and again.reasons == Counter([why])
    assert len(script.seen) == 2, "an abstention is kept, with its reason"


@pytest.mark.parametrize("case", BAD)
def test_a_bad_reply_that_is_made_good_counts(case: str, serve: Any, tmp_path: Path) -> None:
    url, script = serve(BAD[case][0], score(70))
    judge = AttemptServer(choice(url), tmp_path)
    assert judge(ASKED) == [70] and not judge.reasons and len(script.seen) == 2


FILTERED = {"error": {"message": "no", "code": "content_filter"}}
REFUSALS = {
    "field": reply(""),
    "finish": reply(""),
    "words": reply("I'm sorry, but I can't help with that."),
    "status": (400, FILTERED),
}
REFUSALS["field"]["choices"][0]["message"]["refusal"] = "No."
REFUSALS["finish"]["choices"][0]["finish_reason"] = "content_filter"


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_an_abstention_and_not_asked_again(
    case: str, serve: Any, tmp_path: Path
) -> None:
    url, script = serve(REFUSALS[case])
    judge = AttemptServer(choice(url), tmp_path)
    assert judge(ASKED) == [None] and judge.reasons == Counter([REFUSED])
    found = judge.attempts(PROMPT, ANSWER)
    assert (found.raw, found.gated, found.scores, found.why) == (None, None, (), (REFUSED,))
    assert AttemptServer(choice(url), tmp_path)(ASKED) == [None] and len(script.seen) == 2


@pytest.mark.parametrize(
    ("attempts", "raw", "gated", "scores", "why"),
    [
        ((*GOOD, ("Let me start over", 95)), 3, 2, (5, 90), (MISQUOTED,)),
        ((("Wax on", 5), ("Sorry", 90)), 2, None, (), (MISQUOTED, MISQUOTED)),
        ((GOOD[0], ("Wait, that is", 140)), 2, 2, (5, None), (BEYOND,)),
        ((), None, None, (), (BROKEN,)),
        (((7, 5),), None, None, (), (BROKEN,)),
    ],
)
def test_faults_of_a_whole_answer_are_counted_never_0(
    attempts: Any, raw: Any, gated: Any, scores: Any, why: Any, serve: Any, tmp_path: Path
) -> None:
    url, script = serve(quoted(*attempts), quoted(*attempts), quoted(*attempts), quoted(*GOOD))
    judge = AttemptServer(choice(url), tmp_path)
    found = judge.attempts(PROMPT, ANSWER)
    assert (found.raw, found.gated, found.scores, found.why) == (raw, gated, scores, why)
    assert judge.reasons == Counter(why) and len(script.seen) == 2
    assert judge.attempts(PROMPT + "?", ANSWER).scores == (5, 90), "made good at the second"
    again = AttemptServer(choice(url), tmp_path)
    assert again.attempts(PROMPT, ANSWER) == found and len(script.seen) == 4


def test_what_did_not_come_in_time_is_asked_again_by_another_run(
    serve: Any, tmp_path: Path
) -> None:
    url, script = serve(("hang", 1.0), ("hang", 1.0), score(60))
    impatient = choice(url, timeout_s=0.3, retries=1)
    judge = AttemptServer(impatient, tmp_path)
    asked = [*ASKED, QuestionAnswer(PROMPT, "Wax it.")]
    assert judge(asked) == [None, 60] and judge.reasons == Counter([LATE])
    assert len(script.seen) == 3, "tried twice"
    assert AttemptServer(impatient, tmp_path)(asked) == [60, 60] and len(script.seen) == 4
    url, _ = serve((504, {"error": {"message": "late"}}))
    found = AttemptServer(choice(url, retries=0), tmp_path).attempts(PROMPT, ANSWER)
    assert (found.raw, found.gated, found.why) == (None, None, (LATE,))


def test_a_dead_server_is_named_and_what_was_said_stays(serve: Any, tmp_path: Path) -> None:
    many = [QuestionAnswer(PROMPT, f"word {i}") for i in range(PATIENCE + 2)]
    url, script = serve(score(60), (504, {"error": {"message": "late"}}))
    with pytest.raises(InputError, match=f"for {PATIENCE} requests in a row") as error:
        AttemptServer(choice(url, retries=0), tmp_path)(many)
    assert "\n" not in str(error.value) and len(script.seen) == 1 + PATIENCE
    script.turns[:] = [score(40)]
    assert AttemptServer(choice(url), tmp_path)(many) == [60, *[40] * (PATIENCE + 1)]
    url, _ = serve((401, {"error": {"message": "no\nkey"}}))
    with pytest.raises(InputError, match="status 401") as error:
        AttemptServer(choice(url), tmp_path / "other")(many)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="APIConnectionError"):
        AttemptServer(choice("http://127.0.0.1:9/v1", retries=0), tmp_path / "other")(many)


def test_another_model_or_prompt_is_another_verdict(serve: Any, tmp_path: Path) -> None:
    url, script = serve(score(1), score(2), score(3))
    one = choice(url)
    other = type(one)("openai", "other", one.server)
    assert AttemptServer(one, tmp_path)(ASKED) == [1]
    assert AttemptServer(other, tmp_path)(ASKED) == [2]
    assert AttemptServer(one, tmp_path)([QuestionAnswer("q", ASKED[0].answer)]) == [3]
    assert len(script.seen) == 3


def _write(file: Path, name: str) -> None:
    kept = Verdicts(file, "who", Relevance)
    asked = [QuestionAnswer(name, str(i)) for i in range(100)]
    kept.judge(asked, lambda a: Relevance(float(a.answer), (BEYOND,)))


def test_processes_share_what_was_said(tmp_path: Path) -> None:
    file, names = tmp_path / "v.jsonl", [f"p{i}" for i in range(4)]
    spawn = get_context("fork")
    workers = [spawn.Process(target=_write, args=(file, name)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    asked = [QuestionAnswer(name, str(i)) for name in names for i in range(100)]
    found = Verdicts(file, "who", Relevance).judge(asked, lambda _: pytest.fail("it was kept"))
    assert [f.score for f in found] == [float(i) for _ in names for i in range(100)]
