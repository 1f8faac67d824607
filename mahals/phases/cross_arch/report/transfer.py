"""Transfer: what crossed from which source to which target, in grids, figures and sentences?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mahals.maths.stats.intervals import Interval
from mahals.phases.cross_arch.report.controls import control_name, over_shuffled
from mahals.phases.cross_arch.rows import Row
from mahals.reporting.entries import headline_line, headline_metrics
from mahals.reporting.evidence import OF, ArmTable, Of
from mahals.reporting.gains import ArmGains, transfer_efficiency
from mahals.reporting.plots.grids import Grid, grid_of
from mahals.reporting.report import Report, joined


def _axes(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Sources and targets, in the order of the rows, targets first where they are sources too."""
    targets = list(dict.fromkeys(r.target for r in rows))
    moved = [r.source for r in rows if r.map is not None and r.source is not None]
    sources = [t for t in targets if t in moved] + [
        s for s in dict.fromkeys(moved) if s not in targets
    ]
    return sources, targets


def _find(
    arms: Sequence[ArmGains[Row]], source: str, target: str, kind: str
) -> ArmGains[Row] | None:
    """The evidence of a cell: by the map `kind`, or the native vector on the diagonal."""
    wanted = None if source == target else kind
    return next(
        (
            e
            for e in arms
            if e.row.arm == "steered"
            and (e.row.source, e.row.target, e.row.map) == (source, target, wanted)
        ),
        None,
    )


def gains(arms: Sequence[ArmGains[Row]], kind: str, of: Of = "aqi") -> Grid:
    """Gain over random of every cell, of aqi (points) or of the refusal gap (share)."""
    sources, targets = _axes([e.row for e in arms])

    def cell(i: int, j: int) -> Interval | float | str:
        one = _find(arms, sources[i], targets[j], kind)
        if one is None:
            return "widths differ" if kind == "identity" else "not measured"
        over = one.over_random if of == "aqi" else one.gap_over_random
        if over is not None:
            return over.interval
        if of == "gap" and one.random_gap is not None:  # nothing varies: a value, no interval
            return one.gap - one.random_gap
        return "no random arm at this dose"

    return grid_of(sources, targets, cell)


def efficiencies(arms: Sequence[ArmGains[Row]], kind: str, table: ArmTable[Row]) -> Grid:
    """Share of the native refusal-gap gain that crossed; absent where the native one may be 0."""
    sources, targets = _axes([e.row for e in arms])

    def cell(i: int, j: int) -> Interval | float | str:
        source, target = sources[i], targets[j]
        one, native = _find(arms, source, target, kind), _find(arms, target, target, kind)
        if one is None or native is None or source == target:
            return "the native vector itself" if source == target else "not measured"
        share = transfer_efficiency(one, native, table, "gap")
        return share.interval or share.reason or ""

    return grid_of(sources, targets, cell)


def cosines(rows: Sequence[Row], kind: str) -> Grid:
    """Cosine of the moved vector to the target's own, per cell."""
    sources, targets = _axes(rows)
    values = {
        (r.source, r.target): r.cosine_native
        for r in rows
        if r.arm == "steered" and (r.map == kind or r.source == r.target)
    }
    return Grid(sources, targets, [[values.get((s, t)) for t in targets] for s in sources])


def efficiency_line(e: ArmGains[Row], of: str, share: Interval) -> str:
    """One sentence on what share of the native gain crossed."""
    return (
        f"{e.row.source} -> {e.row.target} by {e.row.map}: {of} efficiency {share:.2f}"
        f" of the native gain over random"
    )


@dataclass(frozen=True)
class TransferReport:
    """What one arm says in numbers and sentences; `efficiency` by AQI, or why it is absent."""

    report: Report
    efficiency: float | str | None  # None for an arm that is no transfer


def report_transfer(
    e: ArmGains[Row], arms: Sequence[ArmGains[Row]], table: ArmTable[Row]
) -> TransferReport:
    """The headline of one arm; of a transferred vector also its share of the native gain.

    Both shares (of aqi and of the refusal gap) are absent where the native gain is not above 0.
    """
    metrics, lines = headline_metrics(e, ""), [headline_line(e)]
    if e.row.arm != "steered":
        said = f"control {control_name(e.row)}: {lines[0]}"
        return TransferReport(Report(metrics, [said]), None)
    if e.row.map is None:
        return TransferReport(Report(metrics, lines), None)
    native = _find(arms, e.row.target, e.row.target, e.row.map)
    if native is None:
        why = "the native vector has no arm at this dose"
        return TransferReport(Report(metrics, lines), why)
    shares = {of: transfer_efficiency(e, native, table, of) for of in OF}
    for of, share in shares.items():
        if share.interval is not None:
            metrics[f"{of}_efficiency"] = share.interval.estimate
            lines.append(efficiency_line(e, of, share.interval))
    report = joined((Report(metrics, lines), over_shuffled(e, arms, table)))
    by_aqi = shares["aqi"].interval
    efficiency = shares["aqi"].reason if by_aqi is None else by_aqi.estimate
    return TransferReport(report, efficiency)
