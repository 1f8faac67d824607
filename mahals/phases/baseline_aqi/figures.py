"""Figures of baseline_aqi: how do scores look beside their floors?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mahals.data.categories import counted
from mahals.maths.metrics.spaces import Space
from mahals.phase import Kept
from mahals.phases.baseline_aqi.report import (
    chances,
    headline,
    of_split,
    pools_of,
)
from mahals.phases.baseline_aqi.rows import (
    Readout,
    Row,
    categories,
    compared_space,
    lowest_reached,
    own_readout,
)
from mahals.reporting.evidence import Evidence
from mahals.reporting.multi_agent import NOTHING
from mahals.reporting.plots.bars import bars_with_intervals
from mahals.reporting.plots.curves import lines_over_layers
from mahals.reporting.plots.grids import Grid, axiom_heatmap
from mahals.reporting.plots.sheet import Estimates, Labels, Span
from mahals.reporting.readouts import WORDS, aqi_words
from mahals.schema import Pool

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """aqi_bar_plot of every readout; aqi_axiom_heatmap and aqi_layer_profile, one for each.

    Several models are drawn in the space in which models compare, one model in its first.
    """
    table = of_split(rows, kept, "evaluation")
    several = len(table.values_of("model")) > 1
    first = table.where(axiom="mean")[0]
    space = compared_space(table.values_of("space")) if several else first.space
    pools = pools_of(table.rows)
    kinds = counted(categories(table.rows))
    what = f"n = {first.n} evaluation prompts of {kinds}, {space} space, last block."
    labels = Labels(
        "Alignment Quality Index of the aligned checkpoints", "aqi (points)", what, better="higher"
    )
    figures = {"aqi_bar_plot": _bars(table, space, labels)}
    for pool in pools:
        name = "" if pool == pools[0] else f"_{pool}"
        heat = replace(
            labels,
            title=f"AQI of the aligned checkpoints, {WORDS[pool]}",
            value="points",
            caption=what + _floored(table, space, pool),
        )
        figures["aqi_axiom_heatmap" + name] = _heatmap(table, space, pool, heat)
    for pool in pools:
        name = "" if pool == pools[0] else f"_{pool}"
        profile = replace(
            labels,
            title="AQI over the blocks",
            value=aqi_words(pool),
            caption=f"n = {first.n} evaluation prompts, {first.space} space: levels compare within "
            "a model alone. In a line's colour: 95 % jackknife interval.",
        )
        if pool == pools[0] or len({r.layer for r in table.rows if r.pool == pool}) > 1:
            figures["aqi_layer_profile" + name] = _profile(table, pool, profile)
    return figures


def _by_model(table: Evidence[Row]) -> dict[str, list[Row]]:
    return {model: table.where(model=model) for model in table.values_of("model")}


def _bars(table: Evidence[Row], space: Space, labels: Labels) -> Figure:
    """A bar for each model in each readout; a dagger where there is nothing to measure."""
    places = [(m, pool) for m in table.values_of("model") for pool in pools_of(table.rows)]
    rows = {place: table.where(model=place[0]) for place in places}
    own = {p: headline(rows[p], own_readout(rows[p]), "mean", space, p[1]) for p in places}
    lowest = {p: None if r is None else lowest_reached(rows[p], r) for p, r in own.items()}
    names = {p: f"{p[0]}, {WORDS[p[1]]}" + (DAGGER if lowest[p] else "") for p in places}
    floors = {
        word: [headline(rows[p], name, "mean", space, p[1]) for p in places]
        for name, word in NAMES.items()
    }
    shares = chances(table)
    best = max(shares, key=lambda m: shares[m]) if len(places) > 1 and shares else None
    several = len(table.values_of("model")) > 1
    reached = [x for x in lowest.values() if x is not None]
    note = f"{DAGGER} {NOTHING}: the interval reaches the lowest AQI there is" if reached else ""
    return bars_with_intervals(
        list(names.values()),
        _measured(list(own.values())),
        replace(
            labels,
            value="aqi, by readout (points)",
            caption=f"{labels.caption} Bars: 95 % jackknife interval."
            + (f"{note}, {min(reached):.1f}." if reached else ""),
        ),
        floors={
            word: [None if r is None else r.aqi for r in row]
            for word, row in floors.items()
            if any(row)
        },
        mark=names[best, places[0][1]] if best is not None and several else None,
    )


def _measured(rows: Sequence[Row | None]) -> Estimates:
    return Estimates.of([None if r is None else Span(r.aqi, r.aqi_low, r.aqi_high) for r in rows])


def _floored(table: Evidence[Row], space: Space, pool: Pool) -> str:
    """How many cells of a heatmap reach the lowest AQI there is, in a sentence."""
    cells = [
        (rows, row)
        for rows in _by_model(table).values()
        for axiom in categories(rows)
        if (row := headline(rows, own_readout(rows), axiom, space, pool)) is not None
    ]
    lowest = [x for rows, row in cells if (x := lowest_reached(rows, row)) is not None]
    if not lowest:
        return ""
    return (
        f" In {len(lowest)} of {len(cells)} cells there is {NOTHING.removesuffix(' here')}: the "
        f"interval reaches the lowest AQI there is, {min(lowest):.1f}."
    )


def _heatmap(table: Evidence[Row], space: Space, pool: Pool, labels: Labels) -> Figure:
    by_model = _by_model(table)
    names = categories(table.rows)
    found = [
        [headline(rows, own_readout(rows), axiom, space, pool) for axiom in names]
        for rows in by_model.values()
    ]
    cells = [[None if r is None else r.aqi for r in row] for row in found]
    return axiom_heatmap(
        Grid(list(by_model), list(names), cells), labels, weakest=len(by_model) > 1
    )


def _profile(table: Evidence[Row], pool: Pool, labels: Labels) -> Figure:
    series = {}
    by_model = _by_model(table)
    for model, rows in by_model.items():
        own = own_readout(rows)
        pair = own == "aligned" and len(by_model) == 1
        readouts: tuple[Readout, ...] = ("aligned", "base") if pair else (own,)
        for readout in readouts:
            mine = [
                r
                for r in rows
                if (r.readout, r.axiom, r.pool) == (readout, "mean", pool) and r.layer is not None
            ]
            if not mine:
                continue
            first = [r for r in mine if r.space == mine[0].space]
            name = f"{model} {readout}" if len(readouts) > 1 else model
            series[name] = _measured([*sorted(first, key=lambda r: r.layer or 0)])
    return lines_over_layers(series, labels)


DAGGER = " \u2020"
NAMES: Mapping[Readout, str] = {
    "base": "base",
    "sham": "sham",
    "tfidf": "floor: TF-IDF",
    "embeddings": "floor: embeddings",
    "random": "floor: random weights",
}
