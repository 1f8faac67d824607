"""Report of esr_sequential: what changes where an answer comes back, and not where it does not?"""

from collections.abc import Sequence

from mahals.phase import Kept, Summary
from mahals.phases.esr_sequential.rows import Row
from mahals.reporting.published_resistance import beside_published
from mahals.reporting.token_means import means_summary


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """The means of each subject and situation by quantity and region, beside derailed answers."""
    return beside_published(means_summary(rows, kept), "esr_sequential")
