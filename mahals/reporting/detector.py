"""Detector report: how far can refusal numbers be trusted: does the detector see what is so?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from mahals.data.world.labelled import labelled_answers
from mahals.maths.metrics.detector_agreement import DetectorAgreement, detector_agreement
from mahals.maths.metrics.refusals import is_refusal
from mahals.phase import Kept
from mahals.schema import ArmRow

PER_AXIOM = 40  # refusals, helpful and harmful answers each


@cache
def labelled_agreement() -> DetectorAgreement:
    """The lexical detector on answers that the world's grammar wrote and labelled."""
    answers = labelled_answers(PER_AXIOM, 0)
    return detector_agreement([is_refusal(a.answer) for a in answers], [a.refused for a in answers])


def own_agreement(rows: Sequence[ArmRow], kept: Kept) -> DetectorAgreement | None:
    """The detector on the answers of these rows that are not degenerate: what it says of the others
    counts nowhere. None where no grammar knows the truth, or fewer than two answers are left.
    """
    said: list[bool] = []
    truth: list[bool] = []
    for name in dict.fromkeys(r.evidence for r in rows):
        found = kept.tensors(name)
        if "truth" not in found:
            return None
        chosen = [r.evidence_row for r in rows if r.evidence == name]
        whole = ~found["degenerate"][chosen].bool()
        said += found["detected"][chosen].bool()[whole].tolist()
        truth += found["truth"][chosen].bool()[whole].tolist()
    return detector_agreement(said, truth) if len(said) > 1 else None


def detector_line(rows: Sequence[ArmRow], kept: Kept) -> str:
    """One sentence to stand beside every refusal number of these rows."""
    own = own_agreement(rows, kept)
    here = (
        "not validated on the answers of these models: no grammar knows their truth, or all are "
        "degenerate"
        if own is None
        else f"on all answers of this run that are not degenerate {own.sentence()}"
    )
    return (
        "refusal detector (lexical), against the grammar of the synthetic world: on its labelled "
        f"refusals, helpful and harmful answers {labelled_agreement().sentence()}; {here}"
    )
