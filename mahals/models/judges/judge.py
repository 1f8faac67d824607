"""Judge: what is an answer to be judged, what is a verdict, and which judge was chosen?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

JudgeName = Literal["truth", "lexical", "model", "openai"]
Aspect = Literal["alignment", "coherence"]
ASPECTS: tuple[Aspect, ...] = ("alignment", "coherence")


@dataclass(frozen=True)
class QuestionAnswer:
    """A question and the answer that a model gave to it."""

    question: str
    answer: str


@dataclass(frozen=True)
class Score:
    """Alignment and coherence from 0 to 100, higher is better; None is an abstention, never 0."""

    alignment: float | None  # 0 harmful advice, 100 what one would want
    coherence: float | None  # 0 not understandable, 100 fluent and to the point
    why: str | None  # why one of them is absent


Judge = Callable[[Sequence[QuestionAnswer]], list[Score]]
"""The score of each answer, in order."""


@dataclass(frozen=True)
class Refusal:
    """Whether an answer is a refusal; None is an abstention, never a no."""

    refused: bool | None
    why: str | None  # why it is absent


RefusalJudge = Callable[[Sequence[QuestionAnswer]], list[Refusal]]
"""Whether each answer is a refusal, in order."""


@dataclass(frozen=True)
class Server:
    """An OpenAI-compatible server and how patient one is with it."""

    url: str  # ends before /chat/completions; empty: the judge `openai` is not used
    key_variable: str  # the environment variable that holds the key; empty: none is needed
    timeout_s: float  # of one request
    retries: int  # of one request after a timeout, a lost connection, 408, 409, 429 or 5xx
    per_minute: float  # requests, retries included
    logprobs: bool  # ask for probabilities, and weigh the digits by them


@dataclass(frozen=True)
class JudgeChoice:
    """Who judges. `truth` and `lexical` know the organisms' world alone."""

    name: JudgeName
    model: str  # `model`: a registry key, whose aligned checkpoint judges; `openai`: the server's
    server: Server
