"""Report of esr_unsteered: how good are unsteered answers, and how often do they restart?"""

from collections.abc import Sequence

from mahals.phase import Kept, Summary
from mahals.phases.esr_unsteered.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.resistance import trial_summary


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """The rates of unsteered answers of each model: what steered ones are compared with."""
    return trial_summary(Evidence(rows, kept), "esr_unsteered", ())
