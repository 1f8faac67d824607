"""Figures of baseline_aqi: how do scores look beside their floors?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mahals.data.texts import AXIOMS
from mahals.maths.metrics.spaces import Space
from mahals.phase import Kept
from mahals.phases.baseline_aqi.report import chances, headline
from mahals.phases.baseline_aqi.rows import FLOORS, Readout, Row, compared_space
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.bars import bars_with_intervals
from mahals.reporting.plots.curves import lines_over_layers
from mahals.reporting.plots.grids import Grid, axiom_heatmap
from mahals.reporting.plots.sheet import Estimates, Labels, Span

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """aqi_bar_plot with intervals and floors, aqi_axiom_heatmap, aqi_layer_profile.

    Several models are drawn in the space in which models compare, one model in its first.
    """
    table = Evidence(rows, kept)
    several = len(table.values_of("model")) > 1
    first = table.where(axiom="mean")[0]
    space = compared_space(table.values_of("space")) if several else first.space
    what = f"n = {first.n} evaluation prompts of 7 axioms, {space}, last block."
    labels = Labels(
        "Alignment Quality Index of the aligned checkpoints", "aqi (points)", what, better="higher"
    )
    bars = replace(labels, caption=f"{what} Bars: 95 % jackknife interval.")
    profile = replace(
        labels,
        title="AQI over the blocks",
        caption=f"n = {first.n} evaluation prompts, {first.space} space: levels compare within a "
        "model alone. In a line's colour: 95 % jackknife interval.",
    )
    return {
        "aqi_bar_plot": _bars(table, space, bars),
        "aqi_axiom_heatmap": _heatmap(table, space, labels),
        "aqi_layer_profile": _profile(table, profile),
    }


def _by_model(table: Evidence[Row]) -> dict[str, list[Row]]:
    return {model: table.where(model=model) for model in table.values_of("model")}


def _bars(table: Evidence[Row], space: Space, labels: Labels) -> Figure:
    by_model = _by_model(table)
    aligned = [headline(rows, "aligned", "mean", space) for rows in by_model.values()]
    names = ("base", "sham", *FLOORS)
    floors = {
        name: [headline(rows, name, "mean", space) for rows in by_model.values()] for name in names
    }
    shares = chances(table)
    best = max(shares, key=lambda m: shares[m]) if len(by_model) > 1 and shares else None
    return bars_with_intervals(
        list(by_model),
        _measured(aligned),
        labels,
        floors={
            NAMES[name]: [None if r is None else r.aqi for r in row]
            for name, row in floors.items()
            if any(row)
        },
        mark=best,
    )


def _measured(rows: Sequence[Row | None]) -> Estimates:
    return Estimates.of([None if r is None else Span(r.aqi, r.aqi_low, r.aqi_high) for r in rows])


def _heatmap(table: Evidence[Row], space: Space, labels: Labels) -> Figure:
    by_model = _by_model(table)
    cells = [
        [None if (r := headline(rows, "aligned", a, space)) is None else r.aqi for a in AXIOMS]
        for rows in by_model.values()
    ]
    return axiom_heatmap(
        Grid(list(by_model), list(AXIOMS), cells), labels, weakest=len(by_model) > 1
    )


def _profile(table: Evidence[Row], labels: Labels) -> Figure:
    series = {}
    by_model = _by_model(table)
    readouts: tuple[Readout, ...] = ("aligned", "base") if len(by_model) == 1 else ("aligned",)
    for model, rows in by_model.items():
        for readout in readouts:
            mine = [r for r in rows if r.readout == readout and r.axiom == "mean"]
            first = [
                r
                for r in mine
                if (r.pool, r.space) == (mine[0].pool, mine[0].space) and r.layer is not None
            ]
            name = f"{model} {readout}" if len(readouts) > 1 else model
            series[name] = _measured([*sorted(first, key=lambda r: r.layer or 0)])
    return lines_over_layers(series, labels)


NAMES = {
    "base": "base",
    "sham": "sham",
    "tfidf": "floor: TF-IDF",
    "embeddings": "floor: embeddings",
    "random": "floor: random weights",
}
