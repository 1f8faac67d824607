"""Transfer: what crossed from which source to which target, in grids, figures and sentences?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mahals.maths.stats.intervals import Interval
from mahals.phases.cross_arch.report.controls import control_name
from mahals.phases.cross_arch.rows import Row
from mahals.reporting.evidence import OF, ArmTable, Of
from mahals.reporting.gains import ArmGains, hardest, transfer_efficiency
from mahals.reporting.headlines import headline_line, headline_metrics, p_of
from mahals.reporting.null_arms import dose_key
from mahals.reporting.plots.grids import Grid, grid_of
from mahals.reporting.report import Report, interval_metrics
from mahals.schema import Readout


def _axes(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Sources and targets, in the order of the rows, targets first where they are sources too.

    A single target is always a source: its own vector is what crossings are measured by.
    """
    targets = list(dict.fromkeys(r.target for r in rows))
    moved = [r.source for r in rows if r.map is not None and r.source is not None]
    sources = [t for t in targets if t in moved or len(targets) == 1] + [
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
            and e.row.at_headline
            and (e.row.source, e.row.target, e.row.map) == (source, target, wanted)
        ),
        None,
    )


def gains(arms: Sequence[ArmGains[Row]], kind: str, of: Of = "aqi") -> Grid:
    """Gain over the harder nulls of every cell: aqi (points, headline) or refusal gap (share)."""
    return _over_nulls(arms, kind, _aqi if of == "aqi" else _gap)


def gains_in(
    arms: Sequence[ArmGains[Row]], kind: str, readout: Readout, table: ArmTable[Row]
) -> Grid:
    """Gain in aqi (points) over the harder nulls of every cell, in one readout."""
    return _over_nulls(arms, kind, partial(aqi_over_nulls, readout=readout, table=table))


def _over_nulls(
    arms: Sequence[ArmGains[Row]], kind: str, over: Callable[[ArmGains[Row]], Tested | None]
) -> Grid:
    sources, targets = _axes([e.row for e in arms])
    found = [[_find(arms, s, t, kind) for t in targets] for s in sources]
    tested = [[None if e is None else over(e) for e in row] for row in found]

    def cell(i: int, j: int) -> Interval | float | str:
        if found[i][j] is None:
            return "widths differ" if kind == "identity" else "not measured"
        one = tested[i][j]
        return "no null arms at this dose" if one is None else one.interval

    ps = [[None if one is None else one.p for one in row] for row in tested]
    return replace(grid_of(sources, targets, cell), ps=ps)


@dataclass(frozen=True)
class Tested:
    """A gain over the harder family of nulls, and how likely one so large is by chance."""

    interval: Interval
    p: float  # two-sided, the largest of all families


def _aqi(e: ArmGains[Row]) -> Tested | None:
    found = [over.aqi.p for over in e.over.values() if over.aqi is not None]
    return None if e.over_random is None else Tested(e.over_random.interval, max(found))


def _gap(e: ArmGains[Row]) -> Tested | None:
    return None if e.gap_over_random is None else Tested(e.gap_over_random.interval, p_of(e))


def aqi_over_nulls(e: ArmGains[Row], readout: Readout, table: ArmTable[Row]) -> Tested | None:
    """The aqi in one readout over the family that it beats least; None without an interval."""
    own = table.arm(e.row).in_readout(readout)
    beside = table.nulls_beside(e.row, lambda r: r.aqi_last if readout == "last" else r.aqi_mean)
    groups = [table.arms(some) for groups in beside.values() for some in groups]
    found = hardest([own.over_random([n.in_readout(readout) for n in some]) for some in groups])
    return None if found is None else Tested(found.interval, found.p)


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
        if r.arm == "steered" and r.at_headline and (r.map == kind or r.source == r.target)
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
    """What one arm says in numbers and sentences; `efficiency` by refusal gap, or why none."""

    report: Report
    efficiency: float | str | None  # None for an arm that is no transfer


def report_transfer(
    e: ArmGains[Row], arms: Sequence[ArmGains[Row]], table: ArmTable[Row]
) -> TransferReport:
    """The headline of one arm; of a transferred vector also its share of the native gain.

    Both shares (of aqi and of the refusal gap) are absent where the native gain is not above 0.
    """
    metrics, told = headline_metrics(e, ""), [headline_line(e)]
    if e.row.arm != "steered":
        said = f"control {control_name(e.row)}: {told[0]}"
        return TransferReport(Report(metrics, [said]), None)
    if e.row.map is None:
        return TransferReport(Report(metrics, told), None)
    native = next((n for n in arms if n.row.map is None and _same_dose(n.row, e.row)), None)
    if native is None:
        why = "the native vector has no arm at this dose"
        return TransferReport(Report(metrics, told), why)
    shares = {of: transfer_efficiency(e, native, table, of) for of in OF}
    for of, share in shares.items():
        if share.interval is not None:
            metrics |= interval_metrics(f"{of}_efficiency", share.interval)
            told.append(efficiency_line(e, of, share.interval))
    by_gap = shares["gap"].interval
    efficiency = shares["gap"].reason if by_gap is None else by_gap.estimate
    return TransferReport(Report(metrics, told), efficiency)


def _same_dose(native: Row, moved: Row) -> bool:
    """Whether a row is the steered one of the target's own vector at another's dose."""
    return native.arm == "steered" and dose_key(native) == dose_key(moved)
