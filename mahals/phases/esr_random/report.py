"""Report of esr_random: where do the detectors lie among random sets of latents?"""

from collections.abc import Sequence

from mahals.phase import Kept, Summary
from mahals.phases.esr_random.rows import Row
from mahals.reporting.held_sets import held_summary
from mahals.reporting.published_resistance import beside_published


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """The rates of each kind of sets; the gain of the detectors over them, and p_random."""
    return beside_published(held_summary(rows, kept), "esr_random")
