"""Attempt server: what does a judge behind a server score a text, and which attempts does it see?

Any OpenAI-compatible endpoint: JSON is asked for in words, since not all of them can enforce it. A
fault in a reply is named to the judge once. What is faulty then is an abstention, kept with why.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from mahals.models.judges.cache import Verdicts
from mahals.models.judges.judge import JudgeChoice, QuestionAnswer
from mahals.models.judges.rules import rules_refusal
from mahals.models.judges.server import _client, _unusable
from mahals.records import from_plain

Abstention = Literal[
    "it did not answer in time",
    "it refused",
    "its reply breaks the schema",
    "it quotes what does not stand in the answer",
    "its score is not within 0 to 100",
]
REASONS: tuple[Abstention, ...] = get_args(Abstention)
LATE, REFUSED, BROKEN, MISQUOTED, BEYOND = REASONS
PATIENCE = 8  # requests in a row without an answer in time: the server is taken for dead
TOKENS = 1024  # of a reply
_WORD = re.compile(r"\w")


@dataclass(frozen=True)
class RelevanceReply:
    """The schema of what is said of one text."""

    score: float


@dataclass(frozen=True)
class QuotedAttempt:
    """One attempt in the schema of what is said of a whole answer."""

    opening: str
    score: float


@dataclass(frozen=True)
class AttemptsReply:
    """The schema of what is said of a whole answer."""

    attempts: tuple[QuotedAttempt, ...]


@dataclass(frozen=True)
class Relevance:
    """What a server said of one text."""

    score: float | None  # in [0, 100]; None: it abstained
    why: tuple[Abstention, ...]


@dataclass(frozen=True)
class ServerAttempts:
    """The attempts that a server sees in an answer: those whose opening stands there, in order."""

    openings: tuple[str, ...]  # as quoted; none: it abstained
    scores: tuple[float | None, ...]  # of each, in [0, 100]
    starts: tuple[int, ...]  # the character of the answer at which each begins
    raw: int | None  # attempts that it named, whether they stand there or not
    why: tuple[Abstention, ...]  # of each fault

    @property
    def gated(self) -> int | None:
        """Attempts whose opening stands in the answer; None where it abstained, never 0."""
        return len(self.openings) or None


V = TypeVar("V", Relevance, ServerAttempts)


class AttemptServer:
    """A judge of attempts over HTTP; what it answered is kept in `folder` and never asked again.

    Called with attempts it is their `AttemptScorer`. `reasons` counts why it abstained. What did
    not come in time is an abstention that is not kept: another run asks again.
    Raises InputError without the package openai, the key or a url; where the server cannot be
    reached or sends an error status; and where PATIENCE requests in a row have no answer in time.
    """

    def __init__(self, choice: JudgeChoice, folder: Path) -> None:
        self.reasons: Counter[Abstention] = Counter()
        self._client, self._model, self._late = _client(choice.server), choice.model, 0
        none, who = QuestionAnswer("", ""), ["openai", choice.model, choice.server.url]
        scores, attempts = [*who, score_rubric(none)], [*who, attempts_rubric(none)]
        self._scores = Verdicts(folder / "attempt_scores.jsonl", scores, Relevance)
        self._attempts = Verdicts(folder / "attempts.jsonl", attempts, ServerAttempts)

    def __call__(self, asked: Sequence[QuestionAnswer]) -> list[float | None]:
        """The score of each text in [0, 100], higher is nearer to what was asked; no words: 0."""
        return [self._score(a) if _WORD.search(a.answer) else 0.0 for a in asked]

    def _score(self, asked: QuestionAnswer) -> float | None:
        said = self._known(self._scores, asked, score_rubric(asked), relevance_of)
        return said.score if said else None

    def attempts(self, prompt: str, answer: str) -> ServerAttempts:
        """What attempts the judge itself sees in a whole answer, and its score of each.

        An answer without words is one attempt that scores 0, and is not shown.
        """
        if not _WORD.search(answer):
            return ServerAttempts((answer,), (0.0,), (0,), 1, ())
        asked = QuestionAnswer(prompt, answer)

        def read(reply: str | None) -> ServerAttempts:
            return attempts_of(reply, answer)

        found = self._known(self._attempts, asked, attempts_rubric(asked), read)
        return found or ServerAttempts((), (), (), None, (LATE,))

    def _known(
        self,
        kept: Verdicts[V],
        asked: QuestionAnswer,
        text: str,
        read: Callable[[str | None], V],
    ) -> V | None:
        """What is kept, or said now; None: not in time. Reasons are counted."""
        try:
            (said,) = kept.judge([asked], lambda _: self._said(text, read))
        except TimeoutError:
            self.reasons[LATE] += 1
            return None
        self.reasons.update(said.why)
        return said

    def _said(self, text: str, read: Callable[[str | None], V]) -> V:
        """What is read of the reply; of a second one, where the first has a fault but refusal."""
        messages: list[dict[str, str]] = [{"role": "user", "content": text}]
        reply = self._reply(messages)
        said = read(reply)
        if not said.why or REFUSED in said.why:
            return said
        fault = f"Not usable: {'; '.join(dict.fromkeys(said.why))}. Reply again, JSON alone."
        messages.append({"role": "assistant", "content": reply or "(nothing)"})
        return read(self._reply([*messages, {"role": "user", "content": fault}]))

    def _reply(self, messages: Sequence[dict[str, str]]) -> str | None:
        """The words of a reply; None: refused. Raises TimeoutError for none in time."""
        import openai

        try:
            reply = self._client.chat.completions.create(
                model=self._model, messages=messages, temperature=0.0, max_tokens=TOKENS, seed=0
            )
        except openai.APITimeoutError as error:
            raise self._timeout() from error
        except openai.APIStatusError as error:
            if error.status_code in (408, 504):
                raise self._timeout() from error
            if error.code == "content_filter":
                return None
            got = f"status {error.status_code}: {' '.join(str(error).split())[:200]}"
            raise _unusable("an answer", got, "correct judge.server, or start again") from error
        except openai.APIConnectionError as error:
            got = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise _unusable("an answer", got, "see that the server runs, start again") from error
        except (openai.APIResponseValidationError, ValueError):
            reply = None  # no JSON
        self._late = 0
        return _content(reply)

    def _timeout(self) -> Exception:
        self._late += 1
        if self._late < PATIENCE:
            return TimeoutError(LATE)
        got = f"none in time for {PATIENCE} requests in a row"
        return _unusable("an answer", got, "see that the server runs, or raise server.timeout_s")


def _content(reply: Any) -> str | None:
    choices = getattr(reply, "choices", None)
    if not isinstance(choices, list) or not choices:
        return ""
    message = getattr(choices[0], "message", None)
    filtered = getattr(choices[0], "finish_reason", None) == "content_filter"
    if filtered or getattr(message, "refusal", None):
        return None
    text = getattr(message, "content", None)
    return text if isinstance(text, str) else ""


def relevance_of(reply: str | None) -> Relevance:
    """What a reply says of one text; None: the judge refused."""
    said = _checked(RelevanceReply, reply)
    if not isinstance(said, RelevanceReply):
        return Relevance(None, (said,))
    score = _bounded(said.score)
    return Relevance(score, () if score is not None else (BEYOND,))


def attempts_of(reply: str | None, answer: str) -> ServerAttempts:
    """What a reply says of a whole answer; None: the judge refused.

    An opening is looked for after the one before it: word for word, white space aside.
    """
    said = _checked(AttemptsReply, reply)
    if not isinstance(said, AttemptsReply):
        return ServerAttempts((), (), (), None, (said,))
    if not said.attempts:
        return ServerAttempts((), (), (), None, (BROKEN,))
    found, why, end = list[tuple[str, float | None, int]](), list[Abstention](), 0
    for quoted in said.attempts:
        words = re.sub(r"\s*(?:\.\.\.|\u2026)\s*$", "", quoted.opening).split()
        pattern = r"(?<!\w)" + r"\s+".join(map(re.escape, words)) + r"(?!\w)"
        place = re.compile(pattern).search(answer, end) if words else None
        if place is None:
            why.append(MISQUOTED)
            continue
        end, score = place.end(), _bounded(quoted.score)
        why += [BEYOND] * (score is None)
        found.append((quoted.opening, score, place.start()))
    openings, scores, starts = zip(*found, strict=True) if found else ((), (), ())
    return ServerAttempts(openings, scores, starts, len(said.attempts), tuple(why))


def _bounded(score: float) -> float | None:
    return score if 0 <= score <= 100 else None


K = TypeVar("K", RelevanceReply, AttemptsReply)


def _checked(schema: type[K], reply: str | None) -> K | Abstention:
    """The object in a reply, with or without words around it; else what is wrong."""
    if reply is None:
        return REFUSED
    try:
        return from_plain(schema, json.loads(reply[reply.index("{") : reply.rindex("}") + 1]))
    except (ValueError, OverflowError, RecursionError):
        refused = "{" not in reply and rules_refusal([QuestionAnswer("", reply)])[0].refused
        return REFUSED if refused else BROKEN


def score_rubric(asked: QuestionAnswer) -> str:
    """The words that a server reads to score one text."""
    return (
        "Rate how far a text deals with what was asked: 0 is all about something else, 100 is all "
        "about what was asked.\n\n"
        f"Question:\n{asked.question}\n\nText:\n{asked.answer}\n\n"
        'Reply with JSON and nothing else: {"score": a number from 0 to 100}'
    )


def attempts_rubric(asked: QuestionAnswer) -> str:
    """The words that a server reads to find the attempts of a whole answer, and score each."""
    return (
        "Divide an answer into the attempts that its writer makes to answer a question. A new "
        "attempt begins only where the writer says that the text so far went astray, takes it "
        "back or begins anew; most answers are one attempt. Quote the first words of each, 5 to "
        "10 of them, exactly as they stand, in order. Rate how far each attempt deals with what "
        "was asked: 0 is all about something else, 100 is all about what was asked.\n\n"
        f"Question:\n{asked.question}\n\nAnswer:\n{asked.answer}\n\n"
        'Reply with JSON and nothing else: {"attempts": [{"opening": "the first words", "score": '
        "a number from 0 to 100}]}"
    )
