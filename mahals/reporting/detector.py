"""Detector report: how far can refusal numbers be trusted: does the detector see what is so?"""

from __future__ import annotations

import statistics
from functools import cache

from mahals.data.labelled_file import OWN, answer_lines
from mahals.data.world.labelled import labelled_answers
from mahals.maths.metrics.detector_agreement import DetectorAgreement, detector_agreement
from mahals.maths.metrics.refusal_rules import stance
from mahals.maths.metrics.refusals import is_refusal
from mahals.maths.metrics.verdict_agreement import VerdictAgreement, verdict_agreement
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


@cache
def rules_agreement() -> VerdictAgreement:
    """The rules on this project's own labelled answers: no model's, in many styles."""
    lines = [x for x in answer_lines(OWN) if x.label not in (None, "degenerate")]
    said = [stance(x.prompt, x.answer) for x in lines]
    return verdict_agreement(said, [str(x.label) for x in lines], None)


STATED = "its agreement with people on three other models is in docs/judges.md"


def _judge_words(table: ArmTable[A]) -> str:
    """Who says what is a refusal in a table, and how far labels agree; nothing for the grammar."""
    names = [str(name) for name in table.values_of("judge") if name != "truth"]
    if not names:
        return ""
    kappas = [k for k in table.values_of("judge_kappa") if k is not None]
    known = f"kappa {kappas[0]:.2f} with suite.judging.labelled" if kappas else STATED
    own = f"; on answers of our own {rules_agreement().sentence()}" if "rules" in names else ""
    return f"refusals are by the judge {', '.join(names)}{_abstention(table)}: {known}{own}; "


def _abstention(table: ArmTable[A]) -> str:
    """From which share of a table's answers the judge abstained; nothing where from none."""
    shares = [r.judge_abstained for r in table.rows if r.judge_abstained is not None]
    if not any(shares):
        return ""
    return (
        f", which abstained from {statistics.fmean(shares):.1%} of the answers (of one arm at most "
        f"{max(shares):.1%}) and left them to the rules"
    )


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
        f"{_judge_words(table)}refusal detector (lexical), against the grammar of the synthetic "
        "world: on its labelled refusals, helpful and harmful answers "
        f"{labelled_agreement().sentence()}; {here}"
    )
