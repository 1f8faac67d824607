"""Figures of cross_arch: how do crossings look, as matrices and as bars?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mahals.phase import Kept
from mahals.phases.cross_arch.report import ranked_arms
from mahals.phases.cross_arch.report.controls import DRAWN
from mahals.phases.cross_arch.report.transfer import cosines, efficiencies, gains
from mahals.phases.cross_arch.rows import Row
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import ArmGains, collect
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.grids import matrix
from mahals.reporting.plots.sheet import Estimates, Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """Of each map: transfer_matrix, refusal_matrix, efficiency, compatibility (a cosine).

    Also controls, of the maps that have some: of several targets one figure each.
    """
    table = ArmTable(ranked_arms(rows), kept)
    arms = collect(table)
    figures: dict[str, Figure] = {}
    for kind in dict.fromkeys(r.map for r in table.where(arm="steered") if r.map is not None):
        of_map = map_figures(arms, kind, table)
        figures |= {f"{name}_{kind}": figure for name, figure in of_map.items()}
        figures |= control_figures(arms, kind)
    return figures


def control_figures(arms: Sequence[ArmGains[Row]], kind: str) -> dict[str, Figure]:
    """controls_<map>: the refusal gap over random of a map's arm beside those of its controls.

    One figure for each target that has such controls, with its name where there are several.
    """
    some = [e for e in arms if e.row.map == kind and e.row.arm in ("steered", *DRAWN)]
    some = [e for e in some if e.row.at_headline]
    several = len({e.row.target for e in arms}) > 1
    figures = {}
    for target in dict.fromkeys(e.row.target for e in some if e.row.arm != "steered"):
        name = f"controls_{kind}" + (f"_{target}" if several else "")
        figures[name] = _bars([e for e in some if e.row.target == target], kind, target)
    return figures


def _bars(some: Sequence[ArmGains[Row]], kind: str, target: str) -> Figure:
    sources = list(dict.fromkeys(e.row.source for e in some))
    arms = [a for a in ("steered", *DRAWN) if any(e.row.arm == a for e in some)]
    series = {}
    for arm in arms:
        cells = [
            _cell([e for e in some if e.row.arm == arm and e.row.source == s]) for s in sources
        ]
        values, lows, highs, reasons = zip(*cells, strict=True)
        series[arm.replace("_", " ")] = Estimates(values, lows, highs, reasons)
    labels = Labels(
        f"Refusal gap by {kind} into {target}, and its controls",
        "refusal gap over the harder nulls (share of prompts)",
        "Over the harder family of nulls at equal KL. Lines: 95 %; of a control of several draws "
        "the bar is their mean and the line their range.",
        better="higher",
        other="source → target",
    )
    return grouped_bars([f"{s} → {target}" for s in sources], series, labels)


def _cell(
    draws: Sequence[ArmGains[Row]],
) -> tuple[float | None, float | None, float | None, str | None]:
    """Value, low, high, or why there is none."""
    known = [over for e in draws if (over := e.gap_over_random) is not None]
    if not known:
        return None, None, None, "no null arms at this dose" if draws else "not measured"
    if len(known) > 1:
        values = [over.interval.estimate for over in known]
        return float(np.mean(values)), min(values), max(values), None
    return known[0].interval.estimate, known[0].interval.low, known[0].interval.high, None


def map_figures(
    arms: Sequence[ArmGains[Row]], kind: str, table: ArmTable[Row]
) -> dict[str, Figure]:
    """What one map carried between all models: gains, refusal gaps, shares, cosines.

    A cosine has no better way: it does not predict transfer.
    """
    labels = Labels(
        "",
        "points",
        "Rows give the vector, columns are steered by it; diagonal: own vector. 95 % interval, "
        "over the harder family of null arms at equal KL.",
        better="higher",
        other="source | target",
    )
    gap = replace(labels, value="share of prompts")
    share = replace(labels, value="share of native")
    like = replace(labels, value="cosine", better=None)
    like = replace(like, caption="Last steered block. A cosine does not predict transfer.")
    drawn = (
        ("transfer_matrix", "AQI over nulls", gains(arms, kind), labels),
        ("refusal_matrix", "Refusal gap over nulls", gains(arms, kind, "gap"), gap),
        ("efficiency", "Refusal-gap efficiency", efficiencies(arms, kind, table), share),
        ("compatibility", "Cosine to the native vector,", cosines(table.rows, kind), like),
    )
    return {
        name: matrix(grid, replace(of, title=f"{title} by {kind}"), True)
        for name, title, grid, of in drawn
    }
