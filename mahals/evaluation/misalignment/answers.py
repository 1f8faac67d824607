"""Answers: what does a model say to the questions under each arm, and what is each answer?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from mahals.data.world.advice import KINDS, Question, leaked
from mahals.maths.metrics.refusals import is_refusal
from mahals.maths.misalignment.outcomes import OUTCOMES, Codes, codes_of, outcome_of
from mahals.models.activations.encoding import Encoded, encode_prompts
from mahals.models.checkpoints.checkpoint import Loaded
from mahals.models.generation.decoding import generate_arms
from mahals.models.generation.degenerate import is_degenerate
from mahals.models.judges.factory import check_judge, make_judge
from mahals.models.judges.judge import Judge, JudgeChoice, QuestionAnswer, Score
from mahals.models.steering.interventions import Arm
from mahals.phase import Lab

BROKEN = Score(None, 0.0, "degenerate: empty, repeating itself or leaking role tokens")


@dataclass(frozen=True)
class Asking:
    """The questions, who judges, and how long an answer may be."""

    questions: tuple[Question, ...]
    judge: Judge
    domain: str | None  # of the world's advice; None where the texts are one's own
    max_new_tokens: int

    @property
    def clusters(self) -> list[str]:
        """What intervals cluster on, (n,)."""
        return [q.cluster for q in self.questions]


@dataclass(frozen=True)
class Answered:
    """One arm's answers to all questions, in their order."""

    answers: tuple[str, ...]
    scores: tuple[Score, ...]
    codes: Codes  # places in OUTCOMES
    refused: tuple[bool, ...]  # by the lexical detector
    degenerate: tuple[bool, ...]  # screened before judging; they stay in every denominator
    leaked: tuple[bool, ...] | None  # misaligned with the trained domain's steps, elsewhere


def judge_for(choice: JudgeChoice, lab: Lab, task: object, of_the_world: bool) -> Judge:
    """The judge of a task. Raises InputError for one that cannot know or cannot start."""
    check_judge(choice, lab.weights, of_the_world)
    return make_judge(choice, lambda key: lab.model(key, "aligned"), lab.scratch(task))


def answer_arms(loaded: Loaded, asking: Asking, arms: Sequence[Arm]) -> list[Answered]:
    """What each arm of a model answers, judged; greedy."""
    encoded = _encoded(loaded, asking.questions)
    found = generate_arms(loaded, encoded, arms, asking.max_new_tokens)
    return [_judged(loaded, asking, tuple(answers)) for answers in found]


def _encoded(loaded: Loaded, questions: Sequence[Question]) -> list[Encoded]:
    return encode_prompts(loaded.tokenizer, [q.text for q in questions])


def _judged(loaded: Loaded, asking: Asking, answers: tuple[str, ...]) -> Answered:
    broken = tuple(is_degenerate(a, loaded.tokenizer) for a in answers)
    pairs = zip(asking.questions, answers, broken, strict=True)
    scored = iter(asking.judge([QuestionAnswer(q.text, a) for q, a, b in pairs if not b]))
    scores = tuple(BROKEN if b else next(scored) for b in broken)
    outcomes = [outcome_of(s.alignment, s.coherence) for s in scores]
    return Answered(
        answers=answers,
        scores=scores,
        codes=codes_of(outcomes),
        refused=tuple(is_refusal(a) for a in answers),
        degenerate=broken,
        leaked=_leaked(asking, answers, outcomes),
    )


def _leaked(
    asking: Asking, answers: Sequence[str], outcomes: Sequence[str]
) -> tuple[bool, ...] | None:
    if asking.domain is None:
        return None
    rows = zip(asking.questions, answers, outcomes, strict=True)
    return tuple(o == "misaligned" and leaked(q.text, a, asking.domain) for q, a, o in rows)


@dataclass(frozen=True)
class Counts:
    """Of one kind of question, how many answers were what; `asked` is the denominator."""

    questions: str  # in_domain, near or far
    asked: int
    misaligned: int
    good: int
    incoherent: int
    unscored: int
    refused: int
    leaked: int | None  # of the misaligned: the trained domain's own steps; None: not known


def counts(asking: Asking, found: Answered) -> Iterator[Counts]:
    """The counts of each kind of question that was asked."""
    for kind in KINDS:
        at = [i for i, q in enumerate(asking.questions) if q.kind == kind]
        if at:
            n = {o: int((found.codes[at] == i).sum()) for i, o in enumerate(OUTCOMES)}
            yield Counts(
                kind,
                len(at),
                n["misaligned"],
                n["good"],
                n["incoherent"],
                n["unscored"],
                sum(found.refused[i] for i in at),
                None if found.leaked is None else sum(found.leaked[i] for i in at),
            )


def code_tensors(asking: Asking, rows: Sequence[Answered]) -> dict[str, torch.Tensor]:
    """codes (rows, n), kinds (n,) and clusters (n,): what intervals are made of."""
    names = {c: i for i, c in enumerate(dict.fromkeys(asking.clusters))}
    return {
        "codes": torch.stack([torch.from_numpy(r.codes) for r in rows]),
        "kinds": torch.tensor([KINDS.index(q.kind) for q in asking.questions]),
        "clusters": torch.tensor([names[c] for c in asking.clusters]),
    }


def table_lines(asking: Asking, found: Answered, more: Mapping[str, object]) -> str:
    """One JSON line per answer: the generations table."""
    rows = zip(asking.questions, found.answers, found.scores, found.codes, strict=True)
    return "".join(
        json.dumps(
            {
                **more,
                "kind": q.kind,
                "question": q.text,
                "answer": answer,
                "alignment": score.alignment,
                "coherence": score.coherence,
                "outcome": OUTCOMES[int(code)],
                "why": score.why,
            }
        )
        + "\n"
        for q, answer, score, code in rows
    )
