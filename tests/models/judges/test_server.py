"""Does a judge outlive a misbehaving server, keep its pace and abstain from garbage?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mahals.models.judges.judge import QuestionAnswer
from mahals.models.judges.server import Pace, server_judge, server_refusal_judge
from mahals.records import InputError
from tests.support.judge_server import choice, needs_openai, reply


def test_a_server_with_probabilities_is_weighed(serve: Any, tmp_path: Path) -> None:
    needs_openai()
    url, script = serve(reply("9", {"9": 0.5, "0": 0.25, "X": 0.25}), reply("3"))
    (found,) = server_judge(choice(url), tmp_path / "v.jsonl")([QuestionAnswer("q", "a")])
    assert found.alignment == pytest.approx(100 * 2 / 3)
    assert found.coherence == pytest.approx(100 / 3), "no probabilities: the reply's own digit"
    assert script.seen[0]["logprobs"] is True and script.seen[0]["temperature"] == 0
    assert "Question:\nq\n" in script.seen[0]["messages"][0]["content"]


def test_429_and_500_are_tried_again(serve: Any, tmp_path: Path) -> None:
    needs_openai()
    busy = {"error": {"message": "slow down"}}
    url, script = serve((429, busy), (500, busy), (503, busy), reply("9"))
    (found,) = server_judge(choice(url), tmp_path / "v.jsonl")([QuestionAnswer("q", "a")])
    assert (found.alignment, found.coherence) == (100, 100) and len(script.seen) == 5


def test_a_server_that_goes_on_failing_is_named_and_verdicts_stay(
    serve: Any, tmp_path: Path
) -> None:
    needs_openai()
    url, script = serve(reply("9"), reply("9"), (500, {"error": {"message": "down"}}))
    judge = server_judge(choice(url, retries=1), tmp_path / "v.jsonl")
    with pytest.raises(InputError, match="status 500"):
        judge([QuestionAnswer("q", "a"), QuestionAnswer("q", "b")])
    assert len(script.seen) == 4
    script.turns[:] = [reply("0")]
    again = server_judge(choice(url), tmp_path / "v.jsonl")
    found = again([QuestionAnswer("q", "a"), QuestionAnswer("q", "b")])
    assert [s.alignment for s in found] == [100, 0] and len(script.seen) == 6


def test_a_refused_key_is_not_tried_again(serve: Any, tmp_path: Path) -> None:
    needs_openai()
    url, script = serve((401, {"error": {"message": "no"}}))
    with pytest.raises(InputError, match="status 401"):
        server_judge(choice(url), tmp_path / "v.jsonl")([QuestionAnswer("q", "a")])
    assert len(script.seen) == 1


def test_a_hanging_server_times_out_and_is_tried_again(serve: Any, tmp_path: Path) -> None:
    needs_openai()
    url, script = serve(("hang", 1.5), reply("9"))
    found = server_judge(choice(url, timeout_s=0.3), tmp_path / "v.jsonl")(
        [QuestionAnswer("q", "a")]
    )
    assert found[0].alignment == 100 and len(script.seen) == 3
    url, _ = serve(("hang", 1.0))
    with pytest.raises(InputError, match=r"imed? out"):
        server_judge(choice(url, timeout_s=0.2, retries=0), tmp_path / "w.jsonl")(
            [QuestionAnswer("q", "a")]
        )


@pytest.mark.parametrize(
    "garbage",
    [
        reply("I think it is quite good"),
        reply(""),
        reply("42"),
        reply("X", {"X": 0.9, "9": 0.1}),
        {"choices": []},
        {"nothing": 1},
        (200, b"<html>gateway</html>"),
        (200, b'"text"'),
    ],
)
def test_garbage_is_an_abstention_and_never_0(serve: Any, tmp_path: Path, garbage: Any) -> None:
    needs_openai()
    url, _ = serve(garbage)
    (found,) = server_judge(choice(url), tmp_path / "v.jsonl")([QuestionAnswer("q", "a")])
    assert (found.alignment, found.coherence) == (None, None)
    assert found.why == "the judge named no alignment and no coherence"


def test_the_pace_is_kept_by_clock() -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(60.0, lambda: now[0], sleep)
    for _ in range(3):
        pace.wait()
    now[0] += 10
    pace.wait()
    assert slept == [1.0, 1.0]


def test_retries_keep_the_pace_too(serve: Any, tmp_path: Path) -> None:
    needs_openai()
    url, script = serve((429, {}), (429, {}), reply("9"))
    server_judge(choice(url, per_minute=600.0), tmp_path / "v.jsonl")([QuestionAnswer("q", "a")])
    gaps = [b - a for a, b in zip(script.times, script.times[1:], strict=False)]
    assert len(gaps) == 3 and sum(gaps) > 0.25, "two pauses and more of 0.1 s, less jitter"


def test_refusals_are_asked_for_by_a_rubric_of_their_own(serve: Any, tmp_path: Path) -> None:
    needs_openai()
    url, script = serve(reply("9", {"9": 0.6, "0": 0.3}), reply("1"), reply("X"), reply("well"))
    file = tmp_path / "v.jsonl"
    asked = [QuestionAnswer("q", answer) for answer in "abcd"]
    found = server_refusal_judge(choice(url), file)(asked)
    assert [r.refused for r in found] == [True, False, None, None]
    assert [r.why for r in found[:2]] == [None, None] and found[2].why
    content = script.seen[0]["messages"][0]["content"]
    assert "declines it" in content and "Answer:\na\n" in content
    assert len(script.seen) == 4, "one request an answer"
    again = server_refusal_judge(choice(url), file)(asked)
    assert again == found and len(script.seen) == 4, "what was judged stays judged"
    server_judge(choice(url), file)(asked[:1])
    assert len(script.seen) == 6, "another question, another verdict"
