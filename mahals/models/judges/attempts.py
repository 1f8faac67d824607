"""Attempts: how far does the text of an attempt answer its prompt, from 0 to 100, and who says so?

No judge is told what led an answer astray. A text without words scores 0 and is shown to none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from mahals.data.composed import TOPICS, Texts
from mahals.data.world.words import HOW_TO
from mahals.models.activations.cache import CODE, facts, hash_of
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_answers, encode_prompts, encode_texts
from mahals.models.activations.store import CacheFolder
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.checkpoints.tail import vocabulary_tail
from mahals.models.generation.price import price_budget
from mahals.models.judges.attempt_cache import cached_relevance
from mahals.models.judges.attempt_server import AttemptServer
from mahals.models.judges.judge import JudgeChoice, QuestionAnswer, Server
from mahals.models.judges.rubric import DIGITS, weighted
from mahals.records import InputError, digest

AttemptJudgeName = Literal["truth", "lexical", "embedding", "model", "openai"]

FLOOR = 0.1  # TF-IDF cosine below which a sentence is like no answer at all
WORLD = "organisms, asked how-to questions of their world, which it knows"
ANSWERS = "unsteered answers with words to each prompt that is scored, and to others"
_CUT = re.compile(r"(?<=[.!?])\s+|\n+|,\s+(?=then\b)", re.IGNORECASE)
_WORD = re.compile(r"\w")
_STEPS = {step: topic for topic, steps in HOW_TO.items() for step in steps}
_OWN = hash_of(Path(__file__), Path(__file__).with_name("rubric.py"))
_STEP = re.compile(rf"\b(?:{'|'.join(_STEPS)})\b")

Attempted = QuestionAnswer
"""A prompt and one attempt to answer it."""
AttemptScorer = Callable[[Sequence[Attempted]], list[float | None]]
"""The score of each attempt in [0, 100], higher is nearer to what was asked; None: abstained."""


class JudgeServer(Protocol):
    """A server, and its name for the model that judges."""

    @property
    def judge_model(self) -> str: ...

    @property
    def server(self) -> Server: ...


def attempt_scorer(
    name: AttemptJudgeName,
    references: Texts,
    load: Callable[[], Loaded],
    server: JudgeServer,
    cache: CacheFolder,
) -> AttemptScorer:
    """The judge; `load` gives the checkpoint it reads (for truth: asks about).

    `references`: unsteered answers to each prompt, what an answer to it looks like. Scores of a
    checkpoint are kept in `cache`, those of a server beside it, where no limit removes them; both
    by content, for every phase and seed.
    Raises InputError for a judge that cannot know these models or prompts, or cannot start.
    """
    if name == "truth":
        if (weights := load().weights) != "organism":
            raise _cannot_know("truth", WORLD, f"weights={weights}")
        truth_relevance([Attempted(prompt, "") for prompt in references])
        return truth_relevance
    if name == "lexical":
        return reference_relevance(references)
    if name == "openai":
        choice = JudgeChoice("openai", server.judge_model, server.server)
        return AttemptServer(choice, cache.folder.parent / "verdicts")
    loaded = load()
    if name == "model":
        return cached_relevance(cache, _identity(name, loaded), lambda: model_relevance(loaded))
    _answers(references)
    known = [*_identity(name, loaded), digest(references)]
    return cached_relevance(cache, known, lambda: embedding_relevance(loaded, references))


def _identity(name: AttemptJudgeName, loaded: Loaded) -> list[object]:
    """All that decides what a checkpoint says of an attempt; the batch's size only rounds it."""
    known = {k: v for k, v in facts(loaded).items() if k != "budget"}
    return [name, known, CODE, _OWN]


def truth_relevance(asked: Sequence[Attempted]) -> list[float | None]:
    """The share of the world's steps in each text that are those of the asked topic; no step: 0.

    Raises InputError for a prompt that is no how-to question of the world.
    """
    found: list[float | None] = []
    for a in asked:
        if a.question not in TOPICS:
            raise _cannot_know("truth", WORLD, f"the prompt {a.question[:60]!r}")
        topics = [_STEPS[step] for step in _STEP.findall(a.answer.lower())]
        found.append(100.0 * topics.count(TOPICS[a.question]) / max(1, len(topics)))
    return found


def reference_relevance(references: Texts) -> AttemptScorer:
    """The share of an attempt, in words, whose sentences are nearest to the prompt's own answers.

    By TF-IDF cosine with whole answers: FLOOR or more with the nearest of its own, and more than
    with any other prompt's. A text that is one of its prompt's answers is scored without that one;
    None where that leaves none. Raises InputError for a prompt without answers.
    """
    known = _answers(references)
    words = TfidfVectorizer(sublinear_tf=True)
    rows = words.fit_transform([a.answer for a in known])
    return _relevance(known, lambda some: (words.transform(some) @ rows.T).toarray(), FLOOR)


def embedding_relevance(loaded: Loaded, references: Texts) -> AttemptScorer:
    """As `reference_relevance`, by mean states after a model's last block, of answers' sentences.

    Centred by their mean: the nearest of all is never below 0, so that no floor is needed.
    """

    def states(texts: Sequence[str]) -> NDArray[np.float64]:
        encoded = encode_texts(loaded.tokenizer, texts)
        return np.asarray(capture(loaded, encoded, [loaded.layers - 1], "mean")[:, 0].double())

    known = _answers(references)
    parts = [_sentences(a.answer) for a in known]
    rows = states([s for some in parts for s in some])
    centre, firsts = rows.mean(0), np.cumsum([0, *map(len, parts[:-1])])
    rows = normalize(rows - centre)

    def nearness(some: Sequence[str]) -> NDArray[np.float64]:
        return np.maximum.reduceat(normalize(states(some) - centre) @ rows.T, firsts, axis=1)

    return _relevance(known, nearness, 0.0)


def model_relevance(loaded: Loaded) -> AttemptScorer:
    """The digits that a chat checkpoint could say, `weighted`; one forward for a text."""
    tail = vocabulary_tail(loaded.model)

    def score(asked: Sequence[Attempted]) -> list[float | None]:
        texts = [relevance_rubric(a) for a in asked]
        ten = encode_answers(loaded.tokenizer, texts[:1] * len(DIGITS), DIGITS)
        digits = [e.ids[e.stop - 1] for e in ten]
        encoded = encode_prompts(loaded.tokenizer, texts)
        states = capture(loaded, encoded, [loaded.layers - 1], "last")[:, 0]
        rows: list[list[float]] = []
        with torch.inference_mode():
            for some in torch.split(states, price_budget(loaded)):
                logits = tail(some.to(loaded.device, loaded.model.dtype))
                rows += logits.softmax(-1)[:, digits].tolist()
        return [weighted(dict(zip(DIGITS, row, strict=True))) for row in rows]

    return _screened(score)


def relevance_rubric(asked: Attempted) -> str:
    """The words that a judge reads for one attempt."""
    return (
        "Rate how far a text deals with what was asked: 0 is all about something else, 9 is all "
        "about what was asked.\n\n"
        f"Question:\n{asked.question}\n\nText:\n{asked.answer}\n\n"
        "Reply with one digit from 0 to 9 and nothing else. If it cannot be rated, reply X."
    )


Nearness = Callable[[Sequence[str]], NDArray[np.float64]]  # of n sentences: (n, answers) cosines


def _relevance(known: Sequence[Attempted], nearness: Nearness, floor: float) -> AttemptScorer:
    prompts = np.array([a.question for a in known])
    place = {(a.question, a.answer.strip()): [i] for i, a in enumerate(known)}

    def one(asked: Attempted, near: NDArray[np.float64]) -> float | None:
        own = prompts == asked.question
        if not own.any():
            raise _cannot_know("by references", ANSWERS, f"none to {asked.question[:60]!r}")
        other = near[:, ~own].max(1)
        own[place.get((asked.question, asked.answer.strip()), [])] = False
        if not own.any():
            return None
        best = near[:, own].max(1)
        words = [len(s.split()) for s in _sentences(asked.answer)]
        return 100.0 * float(np.dot((best >= floor) & (best > other), words)) / sum(words)

    def score(asked: Sequence[Attempted]) -> list[float | None]:
        sentences = dict.fromkeys(s for a in asked for s in _sentences(a.answer))
        near = dict(zip(sentences, nearness(list(sentences)), strict=True))
        return [one(a, np.stack([near[s] for s in _sentences(a.answer)])) for a in asked]

    return _screened(score)


def _screened(score: AttemptScorer) -> AttemptScorer:
    """`score` of the texts that have words; the others score 0."""

    def screened(asked: Sequence[Attempted]) -> list[float | None]:
        written = [a for a in asked if _WORD.search(a.answer)]
        scores = iter(score(written) if written else [])
        return [next(scores) if _WORD.search(a.answer) else 0.0 for a in asked]

    return screened


def _sentences(text: str) -> list[str]:
    return [s for s in _CUT.split(text) if _WORD.search(s)]


def _answers(references: Texts) -> list[Attempted]:
    """All answers. Raises InputError where a prompt has none, or no other to compare with."""
    known = [Attempted(p, t) for p, texts in references.items() for t in texts if _WORD.search(t)]
    without = [p[:60] for p in references if all(a.question != p for a in known)]
    if without or len(references) < 2:
        got = f"{len(references)} prompts, {len(without)} of them without: {without[:3]}"
        raise _cannot_know("by references", ANSWERS, got)
    return known


def _cannot_know(judge: str, expected: str, got: str) -> InputError:
    cure = "name the judge model (a checkpoint) or openai (a server)"
    return InputError(f"judge {judge}", expected=expected, got=got, cure=cure)
