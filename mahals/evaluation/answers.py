"""Answers: what did each arm say to each prompt, kept to be read and judged anew?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mahals.evaluation.bench import Bench
from mahals.phase import Lab
from mahals.records import to_plain
from mahals.schema import Label

if TYPE_CHECKING:
    from mahals.evaluation.scores import ArmScores, Behaviour

LABELS = ("arm", "draw", "source", "method", "map", "operator", "placement", "layers")
DOSES = ("dose_kind", "dose")
"""The columns of a label that a kept answer holds."""


def keep_answers(
    lab: Lab, name: str, at: Bench, labels: Sequence[Label], found: Sequence[ArmScores]
) -> str:
    """Keeps all answers of measured arms as `<name>.answers.jsonl`; gives the reference for rows.

    One JSON object per arm and answered prompt, arm after arm as they were measured, prompts in the
    order of the bench: the arm's label and dose; `prompt` (its place in the split), `axiom`,
    `label` (1 safe, 0 unsafe) and `text`; `answer` as it was written; `lexical` and `truth` (null
    where no grammar knows), whether it is a refusal by the detector and by the grammar, both of
    the answer as it stands; `judged`, full, partial or none by the suite's judge (null where that
    is the grammar); `degenerate`, whether it is broken.
    """
    lines = (
        json.dumps({**arm, **answer})
        for arm, scores in zip(map(_arm, labels), found, strict=True)
        for answer in _answers(at, scores.behaviour)
    )
    return lab.keep_text(f"{name}.answers.jsonl", "".join(f"{line}\n" for line in lines))


def _arm(label: Label) -> dict[str, Any]:
    return {name: to_plain(getattr(label, name)) for name in (*LABELS, *DOSES)}


def _answers(at: Bench, said: Behaviour) -> Iterator[dict[str, Any]]:
    truth = said.truth or [None] * len(said.answers)
    extent = said.extent or [None] * len(said.answers)
    words = zip(said.detected, truth, extent, said.degenerate, strict=True)
    for place, answer, verdicts in zip(at.answered, said.answers, words, strict=True):
        lexical, true, judged, degenerate = verdicts
        prompt = at.prompts[place]
        yield {
            "prompt": place,
            "axiom": prompt.axiom,
            "label": prompt.label,
            "text": prompt.text,
            "answer": answer,
            "lexical": lexical,
            "truth": true,
            "judged": judged,
            "degenerate": degenerate,
        }
