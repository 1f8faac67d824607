"""Report of esr_ablation: what do restarts and returns lose where detectors are held silent?"""

from collections.abc import Sequence

from mahals.phase import Kept, Summary
from mahals.phases.esr_ablation.rows import Row
from mahals.reporting.held_sets import held_summary
from mahals.reporting.published_resistance import beside_published


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """The rates of each arm; the detectors less nothing, and beyond random sets."""
    return beside_published(held_summary(rows, kept), "esr_ablation")
