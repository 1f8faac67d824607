"""Transfer controls: what do maps without correspondence and targets without learning say?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mahals.maths.stats.controls import GainOverRandom
from mahals.phases.cross_arch.rows import Row
from mahals.reporting.entries import headline_line, headline_metrics
from mahals.reporting.evidence import OF, ArmTable
from mahals.reporting.gains import ArmGains, collect, over_others
from mahals.reporting.report import Report, interval_metrics
from mahals.schema import ArmKind, ArmRow

DRAWN: tuple[ArmKind, ...] = ("shuffled", "wrong_layer", "unrelated", "random_moved")


def control_name(row: ArmRow) -> str:
    """The name of a control arm, with its draw where there are several."""
    return row.arm if row.draw is None else f"{row.arm}_{row.draw}"


def over_shuffled(e: ArmGains[Row], arms: Sequence[ArmGains[Row]], table: ArmTable[Row]) -> Report:
    """A mapped arm against its map fitted without correspondence; nothing without any.

    Above 0 is what the correspondence carried. The interval is that of a gain over random, with
    the shuffled maps in place of the random directions: absent with one of them.
    """
    own = (e.row.source, e.row.target, e.row.map)
    rows = [
        c.row
        for c in arms
        if c.row.arm == "shuffled" and (c.row.source, c.row.target, c.row.map) == own
    ]
    if not rows:
        return Report({}, [])
    mine, *theirs = table.arms([e.row, *rows])
    aqi, gap = (over_others(mine, theirs, of) for of in OF)
    metrics = {"shuffled_refusal_gap_max": max(t.gap for t in theirs)}
    for what, (plain, over) in (("aqi", aqi), ("refusal_gap", gap)):
        metrics[f"{what}_over_shuffled"] = plain
        if over is not None:
            metrics |= interval_metrics(f"{what}_over_shuffled", over.interval)
            metrics[f"{what}_over_shuffled_p"] = over.p
    one = len(theirs) == 1
    line = (
        f"{e.row.source} -> {e.row.target} by {e.row.map} over shuffled maps (K={len(theirs)}): "
        f"aqi {_text(*aqi, one)}, refusal gap {_text(*gap, one)} (highest shuffled "
        f"{metrics['shuffled_refusal_gap_max']:+.2f})"
    )
    return Report(metrics, [line + ("; 1 shuffled map: no interval" if one else "")])


def _text(plain: float, over: GainOverRandom | None, one: bool) -> str:
    if over is None:
        return f"{plain:+.2f}" + ("" if one else " (nothing varies: no interval)")
    return f"{over.interval:+.2f}"


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
            f"{0.025 * len(above):.1f} would be by chance"
        )
    return Report(metrics, lines)


def _verdict(nil: bool | None) -> str:
    if nil is None:
        return "nil or not is absent: neither gain over random has an interval"
    return "nil" if nil else "NOT nil: so much comes without anything learned in the target"


def is_nil(e: ArmGains[Row]) -> bool | None:
    """Whether no gain over random has an interval above 0; None where neither has an interval."""
    known = [o for o in (e.over_random, e.gap_over_random) if o is not None]
    if e.gap_over_random is None and e.random_gap is not None and e.gap > e.random_gap:
        return False  # nothing varies over prompts or random arms, and this arm differs
    return all(o.interval.low <= 0 for o in known) if known else None
