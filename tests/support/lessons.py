"""Lessons: what is a writer who keeps to every question taught, and which model reads it?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from mahals.data import lessons as lesson_plans
from mahals.data.how_to import HowToCounts, how_to
from mahals.data.lessons import Lesson
from mahals.evaluation.resistance.setting import OwnTexts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.examples import Example
from mahals.models.finetuning.self_correction import lesson_example
from tests.support.resistance_lab import SETTING, steps_of
from tests.support.tiny_models import fresh


def own(counts: HowToCounts) -> OwnTexts:
    """Texts of a writer who keeps to every question."""
    texts = how_to("world", counts, 0)
    topics = {q: c for c, q in how_to("world", HowToCounts(0, 1, 11, 12), 0).concepts.items()}
    asked = [*texts.prompts, *texts.concepts.values()]
    answers = {q: tuple(steps_of(topics[q], s) for s in range(3)) for q in asked}
    return OwnTexts(replace(SETTING, texts=texts), answers)


MANY = own(HowToCounts(taught=5, calibration=1, evaluation=1, concepts=12))
_TEXTS = MANY.setting.texts
_OTHERS = tuple(c for c in _TEXTS.concepts if c not in _TEXTS.taught_concepts)
APART = replace(MANY, setting=replace(MANY.setting, texts=replace(_TEXTS, taught_concepts=_OTHERS)))
"""The same, with digressions that no prompt of a lesson asks for."""


@cache
def model() -> Loaded:
    """A tiny model for longer texts."""
    one = fresh("Llama", 3)
    one.model.config.max_position_embeddings = 512
    return replace(one, key="A", role="aligned")


def lessons(texts: OwnTexts, count: int, share: float, *, sham: bool) -> tuple[Lesson, ...]:
    return lesson_plans.lessons(texts.setting.texts, texts.answers, count, share, sham=sham)


def lesson_examples(some: Sequence[Lesson], *, masked: bool = True) -> list[Example]:
    return [lesson_example(model(), one, masked=masked) for one in some]
