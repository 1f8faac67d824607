"""Report of same_arch: what does each model say, and what do all together?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.maths.stats.ranks import spearman
from mahals.phase import Kept, Summary
from mahals.phases.same_arch.report.sweep import grids, report_grid, report_headline, variant
from mahals.phases.same_arch.rows import Row
from mahals.reporting.detector import detector_line
from mahals.reporting.entries import entries
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import ArmGains, collect
from mahals.reporting.multi_agent import societies
from mahals.reporting.multi_agent_report import report_society
from mahals.reporting.report import Report, joined


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per model and operator: the gain over random at the headline dose, and the trend over lambda.

    Metric names carry the model only when there are several.
    """
    table = ArmTable(rows, kept)
    gains = collect(table)
    several = len(table.values_of("target")) > 1
    plain = [r for r in table.rows if r.arm in ("unsteered", "prompt", "aligned")]
    parts = [Report({f"{r.arm}_aqi": r.aqi}, []).under(_prefix(r, several)) for r in plain]
    steered = [e for e in gains if e.row.arm == "steered"]
    headline = [e for e in steered if e.row.dose_kind == "kl"]
    for e in headline:
        prefix = _prefix(e.row, several) + variant(e.row)
        parts.append(report_headline(e, gains, table).under(prefix))
    for group in grids(table):
        prefix = _prefix(group[0], several) + variant(group[0])
        parts.append(report_grid(group, gains, table).under(prefix))
    for kind in dict.fromkeys(variant(e.row, " ") for e in steered):
        same = [e for e in headline if variant(e.row, " ") == kind]
        if len(same) >= LEAST_MODELS:
            parts.append(Report({}, [_cosine_line(kind, same)]))
    agents = societies(table)
    if agents is not None:
        parts.append(report_society(agents))
    missed = dict.fromkeys(f"{r.target}: {why}" for r in table.rows for why in r.missed)
    told = joined([*parts, Report({}, [*missed, detector_line(table)])])
    return Summary(told.metrics, tuple(told.lines), entries(table.rows, gains, {}), ())


def _cosine_line(variant: str, same: Sequence[ArmGains[Row]]) -> str:
    """Does the cosine of a model's vector predict what the vector does? A rank correlation."""
    known = [
        (e.row.cosine, e.over_random.interval.estimate)
        for e in same
        if e.row.cosine is not None and e.over_random is not None
    ]
    ranks = spearman([c for c, _ in known], [g for _, g in known], 0)
    return (
        f"{variant}over {ranks.n} models: rank correlation of cosine and aqi gain over random "
        f"{ranks.rho:+.2f} [{ranks.low:+.2f}, {ranks.high:+.2f}], p={ranks.p:.3g}"
    )


def _prefix(row: Row, several: bool) -> str:
    return f"{row.target}/" if several else ""


LEAST_MODELS = 4  # fewer give no rank correlation worth an interval
