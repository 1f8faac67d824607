"""Judge server: what does a judge behind an OpenAI-compatible server say of an answer?"""

from __future__ import annotations

import importlib.util
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from mahals.models.judges.cache import Verdicts
from mahals.models.judges.judge import (
    ASPECTS,
    Judge,
    JudgeChoice,
    QuestionAnswer,
    Refusal,
    RefusalChoice,
    RefusalJudge,
    Score,
    Server,
)
from mahals.models.judges.rubric import (
    refusal_of,
    refusal_rubric,
    rubric,
    rubric_identity,
    score_of_reply,
    weighted,
)
from mahals.records import InputError

TOP = 20  # the most tokens whose probability servers give
TOKENS = 4


def server_judge(choice: JudgeChoice, cache: Path) -> Judge:
    """A judge over HTTP; what it said is kept in the file `cache` and never asked again.

    Timeouts, lost connections, 408, 409, 429 and 5xx are tried again with growing pauses (or the
    one that the server names). A reply that is no digit is an abstention. Raises InputError
    without the package openai, the key or a url, and when the server goes on failing: the verdicts
    so far stay.
    """
    client = _client(choice.server)
    identity = ["openai", choice.model, choice.server.url, choice.server.logprobs]
    verdicts = Verdicts(cache, [*identity, *rubric_identity()], Score)

    def each(asked: QuestionAnswer) -> Score:
        found = {a: _score(client, choice, rubric(a, asked)) for a in ASPECTS}
        none = [aspect for aspect, value in found.items() if value is None]
        why = f"the judge named no {' and no '.join(none)}" if none else None
        return Score(found["alignment"], found["coherence"], why)

    def judge(asked: Sequence[QuestionAnswer]) -> list[Score]:
        return verdicts.judge(asked, each)

    return judge


def server_refusal_judge(choice: RefusalChoice, cache: Path) -> RefusalJudge:
    """As `server_judge`, of whether an answer is a refusal."""
    client = _client(choice.server)
    asks = refusal_rubric(QuestionAnswer("", ""))
    identity = ["openai", choice.model, choice.server.url, choice.server.logprobs, asks]
    verdicts = Verdicts(cache, identity, Refusal)

    def each(asked: QuestionAnswer) -> Refusal:
        found = _score(client, choice, refusal_rubric(asked))
        return refusal_of(found, "the judge named no digit")

    def judge(asked: Sequence[QuestionAnswer]) -> list[Refusal]:
        return verdicts.judge(asked, each)

    return judge


class Pace:
    """Waits so that calls are at most so many a minute, evenly; safe between threads."""

    def __init__(
        self,
        per_minute: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap, self._clock, self._sleep = 60.0 / per_minute, clock, sleep
        self._next = -math.inf
        self._lock = Lock()

    def wait(self, *_: object) -> None:
        """Returns when the next call may be made."""
        with self._lock:
            now = self._clock()
            pause = max(0.0, self._next - now)
            self._next = max(now, self._next) + self._gap
        if pause:
            self._sleep(pause)


def _client(server: Server) -> Any:
    if importlib.util.find_spec("openai") is None:
        raise _unusable("the package openai", "it is not installed", "pip install 'openai>=2,<3'")
    if not server.url or server.per_minute <= 0 or server.timeout_s <= 0 or server.retries < 0:
        got = f"url {server.url!r}, {server.per_minute} a minute, {server.timeout_s} s"
        raise _unusable("a url, a pace and a timeout above 0", got, "set judge.server")
    key = os.environ.get(server.key_variable, "") if server.key_variable else "none"
    if not key:
        raise _unusable("a key", f"no {server.key_variable}", f"set {server.key_variable}")
    import openai

    hooks = {"request": [Pace(server.per_minute).wait]}
    return openai.OpenAI(
        base_url=server.url,
        api_key=key,
        timeout=server.timeout_s,
        max_retries=server.retries,
        http_client=openai.DefaultHttpxClient(event_hooks=hooks),
    )


def _score(client: Any, choice: JudgeChoice | RefusalChoice, text: str) -> float | None:
    import openai

    more = {"logprobs": True, "top_logprobs": TOP} if choice.server.logprobs else {}
    try:
        reply = client.chat.completions.create(
            model=choice.model,
            messages=[{"role": "user", "content": text}],
            temperature=0.0,
            max_tokens=TOKENS,
            seed=0,
            **more,
        )
    except openai.APIStatusError as error:
        got = f"status {error.status_code}: {str(error)[:200]}"
        raise _unusable("an answer", got, "correct judge.server, or start again later") from error
    except openai.APIConnectionError as error:
        got = f"{type(error).__name__}: {str(error)[:200]}"
        raise _unusable("an answer", got, "see that the server runs, then start again") from error
    except (openai.APIResponseValidationError, ValueError):
        return None  # no JSON
    return _read(reply)


def _read(reply: Any) -> float | None:
    """The score in a reply: by probabilities where it has them, else by its words."""
    choices = getattr(reply, "choices", None)
    if not isinstance(choices, list) or not choices:
        return None
    content = getattr(getattr(choices[0], "logprobs", None), "content", None)
    top = getattr(content[0], "top_logprobs", None) if content else None
    if top:
        found: dict[str, float] = {}
        for t in top:
            if isinstance(t.token, str) and isinstance(t.logprob, (int, float)):
                token = t.token.strip()
                found[token] = found.get(token, 0.0) + math.exp(min(t.logprob, 0.0))
        return weighted(found)
    text = getattr(getattr(choices[0], "message", None), "content", None)
    return score_of_reply(text) if isinstance(text, str) else None


def _unusable(expected: str, got: str, cure: str) -> InputError:
    return InputError("judge openai", expected=expected, got=got, cure=cure)
