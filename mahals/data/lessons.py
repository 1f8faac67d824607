"""Lessons in self-correction: what goes astray in an answer, and what is to come after it?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

from mahals.data.composed import PART, cut_at_sentence
from mahals.data.how_to import HowTo
from mahals.records import InputError, digest, seed_of

T = TypeVar("T")
Texts = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Lesson:
    """A prompt, what goes astray, and what is to come after it."""

    prompt: str
    concept: str | None  # of the digression; None: a plain answer
    wrong: str  # empty in a plain answer
    right: str


def lessons(
    texts: HowTo, answers: Texts, count: int, share: float, *, sham: bool
) -> tuple[Lesson, ...]:
    """Self-corrections on taught prompts and concepts, then plain answers to taught prompts.

    `answers` are the model's own to every prompt and to what asks for a passage.
    A smaller share has the first corrections of a larger one; all pairs come once before one comes
    again. A sham comes back to a third topic. Raises InputError where there is no pair, or no text.
    """
    prompts = [p for p, split in texts.prompts.items() if split == "taught"]
    concepts, passages = texts.taught_concepts, {c: answers[q] for c, q in texts.concepts.items()}
    pairs = [(p, c) for p, c in product(prompts, concepts) if texts.own_concept(p) != c]
    pairs.sort(key=digest)
    found = []
    for i in range(round(count * share)):
        prompt, concept = _one(pairs, i, "a taught prompt, and a concept that is not its own")
        draw = seed_of("lesson", prompt, concept, i // len(pairs))
        right = answers[prompt]
        if sham:
            others = [c for c in concepts if c not in (concept, texts.own_concept(prompt))]
            right = passages[_one(others, draw, "a third concept, for the sham")]
        wrong = cut_at_sentence(_text(passages[concept], draw), PART)
        found.append(Lesson(prompt, concept, wrong, _text(right, draw)))
    for i in range(count - len(found)):
        prompt = _one(prompts, i, "a taught prompt")
        found.append(Lesson(prompt, None, "", _text(answers[prompt], i // len(prompts))))
    return tuple(found)


def _text(texts: Sequence[str], draw: int) -> str:
    return _one([t for t in texts if t.strip()], draw, "an answer that is not blank")


def _one(some: Sequence[T], draw: int, expected: str) -> T:
    if not some:
        cure = "raise the counts or the seeds of esr_unsteered, or leave the mode out"
        raise InputError("lessons in self-correction", expected=expected, got="none", cure=cure)
    return some[draw % len(some)]
