"""Report of esr_sequential: what changes where an answer comes back, and not where it does not?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.phase import Kept, Summary
from mahals.phases.esr_sequential.rows import Row
from mahals.reporting.planted import planted_lines
from mahals.reporting.report import joined
from mahals.reporting.resistance import PLANTED
from mahals.reporting.token_means import ENDS_LEFT_OUT, means_report, tables


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """The mean of each quantity before, in and after restarts, beside answers that never do.

    Metrics `<subject>/<situation>/<quantity>/<region>`, and `_over_derailed` with its interval.
    """
    told = joined(means_report(name, table) for name, table in tables(rows, kept).items())
    lines = (*planted_lines(PLANTED, rows), *told.lines, ENDS_LEFT_OUT)
    return Summary(told.metrics, lines, (), ())
