"""Report of same_arch: what does each model say, and what do all together?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mahals.maths.stats.ranks import spearman
from mahals.phase import Kept, Summary
from mahals.phases.same_arch.report.sweep import grids, report_grid, report_headline, variant
from mahals.phases.same_arch.rows import Row
from mahals.reporting.detector import detector_line
from mahals.reporting.entries import entries
from mahals.reporting.evidence import Evidence, collect
from mahals.reporting.multi_agent import societies
from mahals.reporting.multi_agent_report import report_society
from mahals.schema import ArmRow


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per model and operator: the gain over random at the headline dose, and the trend over lambda.

    Metric names carry the model only when there are several.
    """
    found = collect(rows, kept)
    several = len({r.target for r in rows}) > 1
    metrics: dict[str, float] = {}
    lines: list[str] = []
    for row in rows:
        if row.arm in ("unsteered", "prompt", "aligned"):
            metrics[f"{_prefix(row, several)}{row.arm}_aqi"] = row.aqi
    for e in found:
        if e.row.arm == "steered" and e.row.dose_kind == "kl":
            said = report_headline(e, rows, found, kept)
            metrics |= _named(said.metrics, _prefix(e.row, several) + variant(e.row))
            lines += said.lines
    for group in grids(rows):
        said = report_grid(group, rows, found, kept)
        metrics |= _named(said.metrics, _prefix(group[0], several) + variant(group[0]))
        lines += said.lines
    for kind in dict.fromkeys(variant(e.row, " ") for e in found if e.row.arm == "steered"):
        some = [e for e in found if e.row.dose_kind == "kl" and e.row.arm == "steered"]
        same = [e for e in some if variant(e.row, " ") == kind]
        if len(same) >= LEAST_MODELS:
            lines.append(_cosine_line(kind, same))
    agents = societies(rows, kept)
    if agents is not None:
        together = report_society(agents)
        metrics |= together.metrics
        lines += together.lines
    lines += dict.fromkeys(f"{r.target}: {why}" for r in rows for why in r.missed)
    lines.append(detector_line(rows, kept))
    return Summary(metrics, tuple(lines), entries(rows, found, {}), ())


def _named(metrics: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {prefix + name: value for name, value in metrics.items()}


def _cosine_line(variant: str, same: Sequence[Evidence]) -> str:
    """Does the cosine of a model's vector predict what the vector does? A rank correlation."""
    known = [
        (e.row.cosine, e.over_random.interval.estimate)
        for e in same
        if isinstance(e.row, Row) and e.row.cosine is not None and e.over_random is not None
    ]
    found = spearman([c for c, _ in known], [g for _, g in known], 0)
    return (
        f"{variant}over {found.n} models: rank correlation of cosine and aqi gain over random "
        f"{found.rho:+.2f} [{found.low:+.2f}, {found.high:+.2f}], p={found.p:.3g}"
    )


def _prefix(row: ArmRow, several: bool) -> str:
    return f"{row.target}/" if several else ""


LEAST_MODELS = 4  # fewer give no rank correlation worth an interval
