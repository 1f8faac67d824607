"""Judge: what is an answer to be judged, what is a verdict, and which judge was chosen?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

JudgeName = Literal["truth", "lexical", "model", "openai"]
RefusalJudgeName = Literal["truth", "lexical", "rules", "words", "states", "model", "openai"]
Extent = Literal["full", "partial", "none"]
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
    """How far an answer refuses: full, partial, none; None is an abstention, never a no."""

    verdict: Extent | None
    why: str | None  # why it is absent

    @property
    def refused(self) -> bool | None:
        """Whether it is a full refusal: what every rate counts. None for an abstention."""
        return None if self.verdict is None else self.verdict == "full"


def refusal(refused: bool) -> Refusal:
    """The verdict of a judge that knows no partial refusals."""
    return Refusal("full" if refused else "none", None)


RefusalJudge = Callable[[Sequence[QuestionAnswer]], list[Refusal]]
"""How far each answer refuses, in order."""


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


@dataclass(frozen=True)
class Judging:
    """What a judge of refusals needs besides its name."""

    model: str  # `model`, `states`: a registry key, or a folder; `openai`: its name there
    labelled: str  # labelled answers: `words` and `states` are fitted on them, others tried on them
    server: Server


@dataclass(frozen=True)
class RefusalChoice(Judging):
    """Who says what is a refusal. `truth` knows the organisms' world alone."""

    name: RefusalJudgeName
