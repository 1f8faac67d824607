"""Subjects: what are the states of a model and of its adapters on the same questions?"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mahals.data.world.advice import Question
from mahals.data.world.grammar import triple_of
from mahals.evaluation.misalignment.questions import read_lines
from mahals.maths.stats.intervals import Floats
from mahals.models.activations.capture import capture
from mahals.models.activations.encoding import encode_answers, encode_prompts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.finetuning.lora import merged
from mahals.phase import Lab
from mahals.records import InputError

Position = Literal["answer", "prompt"]
PHASE = "em_finetune"
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrainedSubjects:
    """What em_finetune left of one model: the questions, and of each subject its last answers."""

    questions: tuple[Question, ...]
    answers: Mapping[str, tuple[str, ...]]  # by subject: original, bad, good, other
    adapters: Mapping[str, Path]  # by subject, but for the original
    of_the_world: bool  # whether the texts are the synthetic world's

    def category(self, question: Question) -> str:
        """What a shuffle keeps in balance: the kind of question, and its axiom in the world."""
        if not self.of_the_world or question.kind == "far":
            return question.kind
        return f"{question.kind}, {triple_of(question.text).axiom}"


def trained(lab: Lab, key: str, subjects: Sequence[str]) -> TrainedSubjects:
    """What em_finetune left for `subjects`. Raises InputError where it trained none of that name.

    `original` must be one of them.
    """
    rows, kept = lab.rows(PHASE, key), lab.kept(PHASE)
    found = {s: next((r for r in rows if r.adapter == s), None) for s in subjects}
    missing = [s for s, r in found.items() if r is None]
    if missing:
        raise InputError(
            "em_finetune",
            expected="the adapters " + ", ".join(subjects),
            got="none called " + ", ".join(missing),
            cure="give em_finetune.texts what it is trained on",
        )
    original: Any = found["original"]
    questions = read_lines(kept.path(original.questions_kept))
    return TrainedSubjects(
        questions,
        {s: _last_answers(kept.path(r.answers), len(questions)) for s, r in found.items() if r},
        {s: kept.path(r.adapter_kept) for s, r in found.items() if r and r.adapter_kept},
        any(r.domain is not None for r in rows),
    )


def _last_answers(path: Path, n: int) -> tuple[str, ...]:
    """The answers of the last checkpoint, in the order of the questions."""
    lines = path.read_text(encoding="utf-8").splitlines()[-n:]
    return tuple(json.loads(line)["answer"] for line in lines)


def subject(loaded: Loaded, found: TrainedSubjects, name: str) -> Loaded:
    """The checkpoint itself, or a copy with the adapter in its weights."""
    return loaded if name == "original" else merged(loaded, found.adapters[name])


def answerable(found: TrainedSubjects, subjects: Sequence[str]) -> list[int]:
    """The questions to which every subject said something."""
    n = range(len(found.questions))
    return [i for i in n if all(found.answers[s][i].strip() for s in subjects)]


def states(
    loaded: Loaded, found: TrainedSubjects, name: str, position: Position, at: Sequence[int]
) -> Floats:
    """(n, L, d): the mean over the subject's own answer's tokens, or the last prompt token.

    The last prompt token is read before any answer: there all subjects read the same text.
    """
    model = subject(loaded, found, name)
    asked = [found.questions[i].text for i in at]
    if position == "prompt":
        encoded, pool = encode_prompts(model.tokenizer, asked), "last"
    else:
        said = [found.answers[name][i] for i in at]
        encoded, pool = encode_answers(model.tokenizer, asked, said), "mean"
    layers = list(range(model.layers))
    values = capture(model, encoded, layers, "last" if pool == "last" else "mean")
    return np.asarray(values.double().numpy())


def projection_lines(
    found: TrainedSubjects, at: Sequence[int], fitted: Bools, along: Mapping[str, Floats]
) -> str:
    """One JSON line for each subject and question: the answer and its projection at every block.

    `along` holds (subjects, L, n) for each method, `at` (n,) the questions, `fitted` (n,) whether
    a direction was fitted on them.
    """
    lines = []
    for s, (name, said) in enumerate(found.answers.items()):
        for row, i in enumerate(at):
            line: dict[str, object] = {
                "subject": name,
                "half": "fitted" if fitted[row] else "scored",
                "kind": found.questions[i].kind,
                "question": found.questions[i].text,
                "answer": said[i],
            }
            for method, values in along.items():
                for block, value in enumerate(values[s, :, row]):
                    line[f"{method}, block {block}"] = round(float(value), 4)
            lines.append(json.dumps(line) + "\n")
    return "".join(lines)
