"""Transfer controls: what do maps without correspondence and targets without learning say?"""

from __future__ import annotations

from dataclasses import replace

from mahals.phases.cross_arch.rows import Row
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import ArmGains, collect
from mahals.reporting.headlines import headline_line, headline_metrics
from mahals.reporting.report import Report
from mahals.schema import ArmKind, ArmRow

DRAWN: tuple[ArmKind, ...] = ("wrong_layer", "unrelated", "random_moved")


def control_name(row: ArmRow) -> str:
    """The name of a control arm, with its draw where there are several."""
    return row.arm if row.draw is None else f"{row.arm}_{row.draw}"


def report_random_weights(table: ArmTable[Row], several: bool) -> Report:
    """What vectors do to targets with random weights: nil, or a warning about the maps.

    The table holds those targets alone. Nil means: no gain over random, of aqi or of the refusal
    gap, has its interval above 0. The metric `nil` is 1 where that holds and absent where nothing
    has an interval; of many arms one in forty or so is above by chance. Never a leaderboard line.
    `several`: metric names carry the target.
    """
    metrics: dict[str, float] = {}
    lines = []
    above = []
    for e in collect(table):
        prefix = f"{e.row.target}/" if several else ""
        prefix += f"{e.row.source}/{e.row.map}/random_target/"
        metrics |= headline_metrics(e, prefix)
        nil = is_nil(e)
        if nil is not None:
            above.append(not nil)
            metrics[f"{prefix}nil"] = float(nil)
        named = replace(e, row=replace(e.row, target=f"{e.row.target} with random weights"))
        lines.append(f"control random_target: {headline_line(named)}: {_verdict(nil)}")
    if above:
        lines.append(
            f"control random_target: {sum(above)} of {len(above)} arms above random; about "
            f"{0.05 * len(above):.1f} would be by chance (AQI and gap are looked at)"
        )
    return Report(metrics, lines)


def _verdict(nil: bool | None) -> str:
    if nil is None:
        return "nil or not is absent: fewer than two random arms"
    return "nil" if nil else "NOT nil: so much comes without anything learned in the target"


def is_nil(e: ArmGains[Row]) -> bool | None:
    """Whether no gain over random has an interval above 0; None without random arms."""
    over = e.over.get("random")
    if over is None:
        return None
    return all(o.interval.low <= 0 for o in (over.aqi, over.gap) if o is not None)
