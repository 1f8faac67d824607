"""What do the controls of a transfer say: maps without correspondence, targets without learning?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mahals.evaluation.suite import ArmRow
from mahals.maths.stats.controls import GainOverRandom
from mahals.phase import ArmKind, Kept
from mahals.reporting.entries import headline_line, headline_metrics
from mahals.reporting.evidence import Evidence, collect, load, over_random
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.sheet import Labels, Measured
from mahals.reporting.report import Said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWN: tuple[ArmKind, ...] = ("shuffled", "wrong_layer", "unrelated", "random_moved")


def control_name(row: ArmRow) -> str:
    """The name of a control arm, with its draw where there are several."""
    return row.arm if row.draw is None else f"{row.arm}_{row.draw}"


def over_shuffled(e: Evidence, found: Sequence[Evidence], kept: Kept) -> Said:
    """A mapped arm against its map fitted without correspondence; nothing without any.

    Above 0 is what the correspondence carried. The interval is that of a gain over random, with
    the shuffled maps in place of the random directions: absent with one of them.
    """
    own = (e.row.source, e.row.target, e.row.map)
    rows = [
        c.row
        for c in found
        if c.row.arm == "shuffled" and (c.row.source, c.row.target, c.row.map) == own
    ]
    if not rows:
        return Said({}, [])
    mine, *theirs = load([e.row, *rows], kept)
    aqi = over_random(
        mine.row.aqi, mine.influence, [(t.row.aqi, t.influence) for t in theirs], mine.clusters
    )
    gap = over_random(
        mine.gap, mine.gap_influence, [(t.gap, t.gap_influence) for t in theirs], mine.gap_clusters
    )
    plain = mine.row.aqi - float(np.mean([t.row.aqi for t in theirs]))
    plain_gap = mine.gap - float(np.mean([t.gap for t in theirs]))
    metrics = {
        "aqi_over_shuffled": plain,
        "refusal_gap_over_shuffled": plain_gap,
        "shuffled_refusal_gap_max": max(t.gap for t in theirs),
    }
    for what, over in (("aqi", aqi), ("refusal_gap", gap)):
        if over is not None:
            metrics[f"{what}_over_shuffled_low"] = over.interval.low
            metrics[f"{what}_over_shuffled_high"] = over.interval.high
            metrics[f"{what}_over_shuffled_p"] = over.p
    one = len(theirs) == 1
    line = (
        f"{e.row.source} -> {e.row.target} by {e.row.map} over shuffled maps (K={len(theirs)}): "
        f"aqi {_text(plain, aqi, one)}, refusal gap {_text(plain_gap, gap, one)} (highest shuffled "
        f"{metrics['shuffled_refusal_gap_max']:+.2f})"
    )
    return Said(metrics, [line + ("; 1 shuffled map: no interval" if one else "")])


def _text(plain: float, over: GainOverRandom | None, one: bool) -> str:
    if over is None:
        return f"{plain:+.2f}" + ("" if one else " (nothing varies: no interval)")
    return f"{plain:+.2f} [{over.interval.low:+.2f}, {over.interval.high:+.2f}]"


def random_weights_said(rows: Sequence[ArmRow], kept: Kept, several: bool) -> Said:
    """What vectors do to targets with random weights: nil, or a warning about the maps.

    `rows` are those targets' rows alone. Nil means: no gain over random, of aqi or of the refusal
    gap, has its interval above 0. The metric `nil` is 1 where that holds and absent where nothing
    has an interval; of many arms one in forty or so is above by chance. Never a leaderboard line.
    `several`: metric names carry the target.
    """
    metrics: dict[str, float] = {}
    lines = []
    above = []
    for e in collect(rows, kept):
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
    return Said(metrics, lines)


def _verdict(nil: bool | None) -> str:
    if nil is None:
        return "nil or not is absent: neither gain over random has an interval"
    return "nil" if nil else "NOT nil: so much comes without anything learned in the target"


def is_nil(e: Evidence) -> bool | None:
    """Whether no gain over random has an interval above 0; None where neither has an interval."""
    known = [o for o in (e.over_random, e.gap_over_random) if o is not None]
    if e.gap_over_random is None and e.random_gap is not None and e.gap > e.random_gap:
        return False  # nothing varies over prompts or random arms, and this arm differs
    return all(o.interval.low <= 0 for o in known) if known else None


def control_figures(found: Sequence[Evidence], kind: str) -> dict[str, Figure]:
    """controls_<map>: the refusal gap over random of a map's arm beside those of its controls.

    One figure for each target that has such controls, with its name where there are several.
    """
    some = [e for e in found if e.row.map == kind and e.row.arm in ("steered", *DRAWN)]
    several = len({e.row.target for e in found}) > 1
    figures = {}
    for target in dict.fromkeys(e.row.target for e in some if e.row.arm != "steered"):
        name = f"controls_{kind}" + (f"_{target}" if several else "")
        figures[name] = _bars([e for e in some if e.row.target == target], kind, target)
    return figures


def _bars(some: Sequence[Evidence], kind: str, target: str) -> Figure:
    sources = list(dict.fromkeys(e.row.source for e in some))
    arms = [a for a in ("steered", *DRAWN) if any(e.row.arm == a for e in some)]
    series = {}
    for arm in arms:
        cells = [
            _cell([e for e in some if e.row.arm == arm and e.row.source == s]) for s in sources
        ]
        values, lows, highs, reasons = zip(*cells, strict=True)
        series[arm.replace("_", " ")] = Measured(values, lows, highs, reasons)
    labels = Labels(
        f"Refusal gap by {kind} into {target}, and its controls",
        "refusal gap over random (share of prompts)",
        "Over random directions at equal KL. Lines: 95 % interval; of a control with several draws "
        "the bar is their mean and the line their range.",
        better="higher",
        other="source → target",
    )
    return grouped_bars([f"{s} → {target}" for s in sources], series, labels)


def _cell(
    draws: Sequence[Evidence],
) -> tuple[float | None, float | None, float | None, str | None]:
    """Value, low, high, or why there is none."""
    known = [e.gap - e.random_gap for e in draws if e.random_gap is not None]
    if not known:
        return None, None, None, "no random arm at this dose" if draws else "not measured"
    if len(known) > 1:
        return float(np.mean(known)), min(known), max(known), None
    over = draws[0].gap_over_random
    if over is None:
        return known[0], None, None, None
    return over.interval.estimate, over.interval.low, over.interval.high, None
