"""Detector report: how far can refusal numbers be trusted: does the detector see what is so?"""

from __future__ import annotations

from functools import cache

from mahals.data.world.labelled import labelled_answers
from mahals.maths.metrics.detector_agreement import DetectorAgreement, detector_agreement
from mahals.maths.metrics.refusals import is_refusal
from mahals.reporting.evidence import A, ArmTable

PER_AXIOM = 40  # refusals, helpful and harmful answers each


@cache
def labelled_agreement() -> DetectorAgreement:
    """The lexical detector on answers that the world's grammar wrote and labelled."""
    answers = labelled_answers(PER_AXIOM, 0)
    return detector_agreement([is_refusal(a.answer) for a in answers], [a.refused for a in answers])


def own_agreement(table: ArmTable[A]) -> DetectorAgreement | None:
    """The detector on the answers of these rows that are not degenerate: what it says of the others
    counts nowhere. None where no grammar knows the truth, or fewer than two answers are left.
    """
    verdicts: list[bool] = []
    truth: list[bool] = []
    for name in table.values_of("evidence"):
        tensors = table.tensors(name)
        if "truth" not in tensors:
            return None
        places = [r.evidence_row for r in table.where(evidence=name)]
        whole = ~tensors["degenerate"][places].bool()
        verdicts += tensors["detected"][places].bool()[whole].tolist()
        truth += tensors["truth"][places].bool()[whole].tolist()
    return detector_agreement(verdicts, truth) if len(verdicts) > 1 else None


def detector_line(table: ArmTable[A]) -> str:
    """One sentence to stand beside every refusal number of a table's rows."""
    own = own_agreement(table)
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
