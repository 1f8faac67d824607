"""Figures of cross_arch: what do crossings buy at which price, and how do they compare?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mahals.phase import Kept
from mahals.phases.cross_arch.report import ranked_arms
from mahals.phases.cross_arch.report.controls import DRAWN
from mahals.phases.cross_arch.report.transfer import (
    cosines,
    efficiencies,
    gains,
    gains_in,
)
from mahals.phases.cross_arch.rows import Row
from mahals.reporting.evidence import ArmTable
from mahals.reporting.gains import ArmGains, collect
from mahals.reporting.lines import Line, lines
from mahals.reporting.paths import beside, paths_of
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.grids import matrix
from mahals.reporting.plots.sheet import Estimates, Labels
from mahals.reporting.plots.tradeoff import Tradeoff, value_over_price
from mahals.reporting.readouts import aqi_words, both

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """Of each map: gap_over_price, refusal_matrix, efficiency, transfer_matrix in each readout.

    Also compatibility (a cosine), and controls of the maps that have some: of several targets one
    figure each.
    """
    table = ArmTable(ranked_arms(rows), kept)
    arms = collect(table)
    figures: dict[str, Figure] = {}
    for kind in dict.fromkeys(r.map for r in table.where(arm="steered") if r.map is not None):
        of_map = price_figure(arms, kind, table) | map_figures(arms, kind, table)
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
        "Over the harder nulls at equal KL or more. Lines: 95 %; of a control of several draws "
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
    """What one map carried between all models: refusal gaps, shares, AQI in both readouts, cosines.

    All at the headline dose. A cosine has no better way: it does not predict transfer.
    """
    labels = Labels(
        f"Refusal gap over nulls at {_dose(table)}, moved by {kind}",
        "refusal gap over nulls",
        "Rows give the vector, columns are steered by it; outlined: the own vector, which crossed "
        f"nothing. 95 % interval, over the harder nulls at {_dose(table)} or more.",
        better="higher",
        other="source | target",
    )
    title = f"Refusal-gap efficiency at {_dose(table)}, by {kind}"
    share = replace(labels, title=title, value="share of native")
    like = replace(
        labels,
        title=f"Cosine to the native vector, moved by {kind}",
        value="cosine",
        better=None,
        caption="Last steered block; outlined: the own vector. A cosine does not predict transfer.",
    )
    figures = {
        "refusal_matrix": matrix(gains(arms, kind, "gap"), labels, True),
        "efficiency": matrix(efficiencies(arms, kind, table), share, True),
    }
    headline = table.rows[0].readout
    for readout in both(headline):
        of = replace(
            labels,
            title=f"AQI over nulls at {_dose(table)}, moved by {kind}",
            value=aqi_words(readout, "points over nulls").replace(" (", "\n("),
        )
        name = "transfer_matrix" + ("" if readout == headline else f"_{readout}")
        figures[name] = matrix(gains_in(arms, kind, readout, table), of, True)
    return figures | {"compatibility": matrix(cosines(table.rows, kind), like, True)}


def _dose(table: ArmTable[Row]) -> str:
    """The headline dose, in words."""
    doses = {r.dose for r in table.where(at_headline=True)}
    return f"kl={min(d for d in doses if d is not None):g}" if doses - {None} else "equal KL"


def price_figure(
    arms: Sequence[ArmGains[Row]], kind: str, table: ArmTable[Row]
) -> dict[str, Figure]:
    """gap_over_price: each source's vector through one map at its doses, one panel a target."""
    panels = price_panels(lines(arms, table), kind, table)
    if not panels:
        return {}
    asked = len(table.arm(table.rows[0]).refused)
    labels = Labels(
        f"What vectors of other models buy by {kind}, and at what price",
        "refusal gap (unsafe less safe)",
        f"{asked} answered prompts; a degenerate answer is a failure. Lines: the doses, from the "
        "unsteered model at 1; 95 % intervals over prompts. Dots: null arms at all doses.",
        better="higher",
        other="perplexity ratio on neutral text;  \u2190 lower is better",
    )
    return {"gap_over_price": value_over_price(panels, labels)}


def price_panels(
    found: Sequence[Line[Row]], kind: str, table: ArmTable[Row]
) -> Mapping[str, Tradeoff]:
    """One panel per target: its own vector, what crossed by a map, nulls.

    A source has one colour in all panels.
    """
    crossed = [line for line in found if line.chosen.row.map == kind]
    sources = sorted({str(line.chosen.row.source) for line in crossed})
    panels = {}
    for target in dict.fromkeys(line.chosen.row.target for line in crossed):
        moved, own = (
            [line for line in some if line.chosen.row.target == target]
            for some in (crossed, [line for line in found if line.chosen.row.map is None])
        )
        paths = paths_of(moved, table, lambda line: str(line.chosen.row.source))
        panels[target] = replace(
            beside(target, table),
            paths={s: replace(path, look=sources.index(s)) for s, path in paths.items()},
            own=paths_of(own, table, lambda _: "own vector"),
        )
    return panels
