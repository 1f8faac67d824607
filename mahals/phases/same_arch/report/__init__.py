"""Report of same_arch: what does each model say, and what do all together?"""

from __future__ import annotations

from collections.abc import Sequence

from mahals.maths.stats.ranks import spearman
from mahals.phase import Kept, Summary
from mahals.phases.same_arch.report.sweep import (
    grids,
    report_grid,
    report_headline,
    variant,
)
from mahals.phases.same_arch.rows import Row
from mahals.reporting.detector import detector_line
from mahals.reporting.entries import entries
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import ArmGains, collect
from mahals.reporting.headlines import headline_line, headline_metrics, report_line
from mahals.reporting.lines import lines
from mahals.reporting.multi_agent import societies
from mahals.reporting.multi_agent_report import report_society
from mahals.reporting.report import Report, joined


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per model and operator: the refusal gap over every family of nulls, and AQI beside it.

    At the headline dose, at which all arms are equal, and at the one chosen on the selection split.
    Metric names carry the model only when there are several.
    """
    table = ArmTable(rows, kept)
    gains = collect(table)
    several = len(table.values_of("target")) > 1
    plain = [e for e in gains if e.row.operator is None]
    parts = [
        Report(headline_metrics(e, f"{e.row.arm}/"), [headline_line(e)]).under(
            _prefix(e.row, several)
        )
        for e in plain
    ]
    headline = [e for e in gains if e.row.arm == "steered" and e.row.at_headline]
    for e in headline:
        prefix = _prefix(e.row, several) + variant(e.row)
        parts.append(report_headline(e, gains, table).under(prefix))
    for line in lines(gains, table):
        prefix = _prefix(line.chosen.row, several) + variant(line.chosen.row)
        parts.append(report_line(line).under(prefix))
    for group in grids(table):
        prefix = _prefix(group[0], several) + variant(group[0])
        parts.append(report_grid(group, table).under(prefix))
    for kind in dict.fromkeys(variant(e.row, " ") for e in headline):
        same = [e for e in headline if variant(e.row, " ") == kind]
        if len(same) >= LEAST_MODELS:
            parts.append(_cosine_report(kind, same))
    agents = societies(table)
    if agents is not None:
        parts.append(report_society(agents))
    missed = dict.fromkeys(f"{r.target}: {why}" for r in table.rows for why in r.missed)
    told = joined([*parts, Report({}, [*missed, detector_line(table)])])
    return Summary(told.metrics, tuple(told.lines), entries(table, gains, {}), ())


def _cosine_report(variant: str, same: Sequence[ArmGains[Row]]) -> Report:
    """Does the cosine of a model's vector predict what the vector does? A rank correlation."""
    known = [(e.row.cosine, e.gap.estimate) for e in same if e.row.cosine is not None]
    gaps = {gap for _, gap in known}
    if len(known) < LEAST_MODELS or len(gaps) < 2:
        why = "all refusal gaps are alike" if known else "no cosine is known"
        return Report({}, [f"{variant}rank correlation of cosine and refusal gap absent: {why}"])
    ranks = spearman([c for c, _ in known], [g for _, g in known], 0)
    line = (
        f"{variant}over {ranks.n} models: rank correlation of cosine and refusal gap "
        f"{ranks.rho:+.2f} [{ranks.low:+.2f}, {ranks.high:+.2f}], p={ranks.p:.3g}"
    )
    found = {"rho": ranks.rho, "rho_low": ranks.low, "rho_high": ranks.high}
    return Report({f"cosine_gap_{name}": value for name, value in found.items()}, [line])


def _prefix(row: Row, several: bool) -> str:
    return f"{row.target}/" if several else ""


LEAST_MODELS = 4  # fewer give no rank correlation worth an interval
