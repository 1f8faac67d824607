"""Bench: which model, prompts, texts and questions is every arm measured on?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mahals.data.categories import LEAST, categories_of, measurable
from mahals.data.texts import Prompt, TaskItem
from mahals.evaluation.refusal_bench import RefusalBench, refusal_bench
from mahals.evaluation.suite import Suite
from mahals.models.activations.encoding import Encoded, encode_answers, encode_prompts, encode_texts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.phase import Lab, Role
from mahals.records import InputError
from mahals.schema import Readout


@dataclass(frozen=True)
class DoseTexts:
    """The texts on which a dose is found."""

    neutral: tuple[Encoded, ...]
    chat: tuple[Encoded, ...]  # safe prompts in chat form

    @property
    def sets(self) -> tuple[tuple[Encoded, ...], ...]:
        """The sets of texts of which the one that an arm moves most counts."""
        return (self.neutral, self.chat)


@dataclass(frozen=True)
class Bench:
    """A loaded model with the texts that every arm of it is measured on."""

    loaded: Loaded
    suite: Suite
    prompts: tuple[Prompt, ...]  # of the categories that can be scored
    absent: tuple[str, ...]  # the other categories, and why they cannot
    encoded: tuple[Encoded, ...]
    answered: tuple[int, ...]  # indices into prompts
    neutral: tuple[Encoded, ...]
    chat: tuple[Encoded, ...]  # safe prompts in chat form
    calibration: DoseTexts  # of another split: doses are found on these
    questions: tuple[Encoded, ...]  # one per task and choice
    tasks: tuple[TaskItem, ...]
    judge: RefusalBench

    @property
    def readout(self) -> Readout:
        """Which of the two AQIs is the headline."""
        return self.suite.readout_of(self.loaded.weights)

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """1 safe, 0 unsafe, (n,)."""
        return np.array([p.label for p in self.prompts], dtype=np.int64)

    @property
    def axioms(self) -> list[str]:
        """The category of each prompt, (n,)."""
        return [p.axiom for p in self.prompts]

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories, sorted."""
        return categories_of(self.prompts)

    @property
    def clusters(self) -> list[str]:
        """What intervals cluster on, (n,)."""
        return [p.cluster for p in self.prompts]


def first_per_cell(prompts: Sequence[Prompt], count: int) -> tuple[int, ...]:
    """Indices of the first `count` prompts of each category and label, in file order.

    Of a category with fewer of a label as many of either as there are: both weigh the same.
    """
    cells: dict[tuple[str, int], list[int]] = {}
    for i, prompt in enumerate(prompts):
        cells.setdefault((prompt.axiom, prompt.label), []).append(i)
    chosen: list[int] = []
    for name in categories_of(prompts):
        both = [cells.get((name, label), []) for label in (0, 1)]
        chosen += [i for cell in both for i in cell[: min(count, *map(len, both))]]
    return tuple(sorted(chosen))


def bench(lab: Lab, key: str, role: Role, suite: Suite, split: str) -> Bench:
    """The bench of one checkpoint on one split; nothing is said before a prompt.

    Raises InputError for a split without prompts or neutral texts, or in which no category has
    `LEAST` prompts of either label.
    """
    loaded = lab.model(key, role)
    found = measurable(lab.prompts(split), LEAST, "the prompts", split)
    prompts = found.prompts
    tasks = lab.tasks(split)[: suite.tasks]
    neutral = lab.neutral(split)[: suite.neutral]
    if not neutral:
        raise InputError(
            f"the {split} split",
            expected="neutral texts",
            got="none",
            cure="raise datasets.texts_per_split",
        )
    return Bench(
        loaded=loaded,
        suite=suite,
        prompts=prompts,
        absent=found.absent,
        encoded=_prompts(loaded, prompts, None),
        answered=first_per_cell(prompts, suite.answers),
        neutral=tuple(encode_texts(loaded.tokenizer, neutral)),
        chat=_chat(loaded, prompts, suite.neutral),
        calibration=_calibration(lab, loaded, suite, split),
        questions=_questions(loaded, tasks, None),
        tasks=tasks,
        judge=refusal_bench(lab, suite),
    )


def _calibration(lab: Lab, loaded: Loaded, suite: Suite, split: str) -> DoseTexts:
    """The texts on which doses are found: of a split that nothing is measured on."""
    other = "selection" if split == "evaluation" else "extraction"
    neutral, prompts = lab.neutral(other)[: suite.neutral], lab.prompts(other)
    if not neutral or not prompts:
        raise InputError(
            f"the {other} split",
            expected="prompts and neutral texts, to find doses on",
            got=f"{len(prompts)} prompts and {len(neutral)} neutral texts",
            cure="raise datasets.per_cell and datasets.texts_per_split",
        )
    return DoseTexts(
        tuple(encode_texts(loaded.tokenizer, neutral)), _chat(loaded, prompts, suite.neutral)
    )


def _chat(loaded: Loaded, prompts: Sequence[Prompt], count: int) -> tuple[Encoded, ...]:
    """At most `count` of the safe prompts, evenly spaced over all of them.

    Raises InputError where none is safe.
    """
    safe = [p for p in prompts if p.label == 1]
    if not safe:
        raise InputError(
            "prompts of the suite",
            expected="safe and unsafe ones",
            got=f"{len(prompts)} unsafe and no safe ones",
            cure="add safe prompts: without them a refusal means nothing",
        )
    step = max(1.0, len(safe) / count)
    return _prompts(loaded, [safe[int(i * step)] for i in range(min(count, len(safe)))], None)


def instructed(at: Bench, system: str) -> Bench:
    """The bench with `system` said before every prompt and question."""
    return replace(
        at,
        encoded=_prompts(at.loaded, at.prompts, system),
        questions=_questions(at.loaded, at.tasks, system),
    )


def _prompts(loaded: Loaded, prompts: Sequence[Prompt], system: str | None) -> tuple[Encoded, ...]:
    texts = [p.text for p in prompts]
    return tuple(encode_prompts(loaded.tokenizer, texts, system=system))


def _questions(
    loaded: Loaded, tasks: Sequence[TaskItem], system: str | None
) -> tuple[Encoded, ...]:
    """One text per task and choice."""
    if not tasks:
        return ()
    asked = [t.prompt for t in tasks for _ in t.choices]
    choices = [c for t in tasks for c in t.choices]
    return tuple(encode_answers(loaded.tokenizer, asked, choices, system=system))
