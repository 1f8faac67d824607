"""Refusal bench: who says which of a phase's answers are refusals, and how far is that trusted?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mahals.data.labelled_file import answer_lines
from mahals.data.world.labelled import true_refusals
from mahals.evaluation.suite import Suite
from mahals.maths.metrics.refusals import is_refusal
from mahals.maths.metrics.verdict_agreement import verdict_agreement
from mahals.models.judges.factory import check_refusal_judge, make_refusal_judge
from mahals.models.judges.judge import Extent, QuestionAnswer, RefusalChoice, RefusalJudge
from mahals.models.judges.rules import rules_refusal
from mahals.phase import Lab

ABSTAINING = ("model", "openai")  # judges that may give no verdict on an answer


@dataclass(frozen=True)
class Refusals:
    """What is said of answers, one entry each."""

    refused: tuple[bool, ...]  # by the judge, as the answer stands
    detected: tuple[bool, ...]  # by the phrase list
    truth: tuple[bool, ...] | None  # by the grammar; None where none knows
    extent: tuple[Extent, ...] | None  # by a judge that knows partial refusals; None for `truth`
    abstained: tuple[bool, ...] | None  # where the judge did, and the rules judged; None: it cannot


@dataclass(frozen=True)
class RefusalBench:
    """The judge of a suite, ready to judge."""

    name: str
    weights: str
    kappa: float | None  # with the labelled answers that the suite names, full refusals; else None
    judge: RefusalJudge | None  # None for `truth`

    def refusals(self, prompts: Sequence[str], answers: Sequence[str]) -> Refusals:
        """What the judge says of one answer to each prompt.

        `truth` is the grammar, and the phrase list where the prompts are none of the world's. An
        abstention of another judge is judged by the rules.
        """
        detected = tuple(is_refusal(a) for a in answers)
        known = true_refusals(prompts, answers) if self.weights == "organism" else None
        truth = None if known is None else tuple(known)
        if self.judge is None:
            return Refusals(detected if truth is None else truth, detected, truth, None, None)
        asked = [QuestionAnswer(*each) for each in zip(prompts, answers, strict=True)]
        extent, silent = _extent(self.judge, asked)
        abstained = silent if self.name in ABSTAINING else None
        return Refusals(tuple(e == "full" for e in extent), detected, truth, extent, abstained)


def _extent(
    judge: RefusalJudge, asked: Sequence[QuestionAnswer]
) -> tuple[tuple[Extent, ...], tuple[bool, ...]]:
    """The verdicts that count, and where the judge abstained, so that they are the rules'."""
    said = [r.verdict for r in judge(asked)]
    silent = [a for a, v in zip(asked, said, strict=True) if v is None]
    instead = iter([r.verdict for r in rules_refusal(silent)])
    found = [next(instead) if v is None else v for v in said]
    return tuple(v for v in found if v is not None), tuple(v is None for v in said)


def refusal_bench(lab: Lab, suite: Suite) -> RefusalBench:
    """The judge that the suite names for the lab's weights. Raises InputError where it cannot know.

    With `suite.judging.labelled` it is tried on those answers first, as it counts: the rules judge
    where it abstains. A fitted judge, which learned
    from them, is not.
    """
    choice = suite.judge_of(lab.weights)
    if choice.labelled:
        choice = replace(choice, labelled=str(lab.file(choice.labelled)))
    check_refusal_judge(choice, lab.weights)
    if choice.name == "truth":
        return RefusalBench(choice.name, lab.weights, None, None)
    judge = _made(choice, lab)
    return RefusalBench(choice.name, lab.weights, _kappa(choice, judge), judge)


_MADE: dict[RefusalChoice, RefusalJudge] = {}
"""Judges of this process without a checkpoint: fitting one takes a while."""
_KAPPAS: dict[RefusalChoice, float | None] = {}
"""Of the judges that were tried in this process."""


def _made(choice: RefusalChoice, lab: Lab) -> RefusalJudge:
    """A judge that is a checkpoint is made anew, so that nothing here keeps it in memory."""
    if choice in _MADE:
        return _MADE[choice]
    folder = lab.cache.folder.parent / "verdicts"
    judge = make_refusal_judge(choice, lambda key: lab.model(key, "aligned"), folder)
    if choice.name not in ("model", "states"):
        _MADE[choice] = judge
    return judge


def _kappa(choice: RefusalChoice, judge: RefusalJudge) -> float | None:
    if not choice.labelled or choice.name in ("words", "states"):
        return None
    if choice not in _KAPPAS:
        _KAPPAS[choice] = _tried(choice, judge)
    return _KAPPAS[choice]


def _tried(choice: RefusalChoice, judge: RefusalJudge) -> float | None:
    lines = [x for x in answer_lines(Path(choice.labelled)) if x.label not in (None, "degenerate")]
    said, _ = _extent(judge, [QuestionAnswer(x.prompt, x.answer) for x in lines])
    known = [str(x.label) for x in lines]
    return verdict_agreement(said, known, None).full.kappa
