"""Figures of em_detection: how well is each model told from another, block by block?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mahals.maths.misalignment import published
from mahals.phase import Kept
from mahals.phases.em_detection.report import FITTED, NAMES, headline
from mahals.phases.em_detection.rows import Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.curves import Curve, curve_with_band, lines_over_layers
from mahals.reporting.plots.grids import table_figure
from mahals.reporting.plots.sheet import Estimates, Labels, Span

if TYPE_CHECKING:
    from matplotlib.figure import Figure


SUBJECTS = ("original", "bad", "good", "other")


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """auroc_per_layer of each position and method; of the first separation_per_layer.

    Of one model also projections and beside_published.
    """
    table = Evidence(rows, kept)
    figures = {"auroc_per_layer": _auroc(table)}
    first = table.where(position=rows[0].position, method=rows[0].method)
    figures["separation_per_layer"] = _separation(first)
    if len(table.values_of("model")) == 1:
        figures["projections"] = _projections(first[0], table)
        figures["beside_published"] = _beside(first)
    return figures


def _auroc(table: Evidence[Row]) -> Figure:
    """One panel per model, position and method; lines are contrasts, the band null directions."""
    panels = {}
    several = len(table.values_of("model")) > 1
    keys = dict.fromkeys((r.model, r.position, r.method) for r in table.rows)
    for model, position, method in keys:
        own = table.where(model=model, position=position, method=method)
        name = f"{position}, {method.replace('_', ' ')}"
        panels[f"{model} {name}" if several else name] = _auroc_panel(own)
    labels = Labels(
        "Is a misaligned model told apart on unseen prompts?",
        "AUROC",
        f"{table.rows[0].scored} prompts that no direction was fitted on. In a line's colour: 95 % "
        "jackknife. Grey: random directions and those of shuffled pairs, from chance to the best. "
        "Never seen: an adapter of another domain.",
        "higher",
        "block",
    )
    return _whole(curve_with_band(panels, labels, columns=2, share=True))


def _auroc_panel(rows: Sequence[Row]) -> Curve:
    arms = {}
    for pair, name in NAMES.items():
        line = _contrast(rows, pair)
        if line:
            arms[name] = Estimates.of([Span(r.auroc, r.auroc_low, r.auroc_high) for r in line])
    nulls = [
        Span(max(r.random_mean, r.shuffled_mean), 0.5, max(r.random_best, r.shuffled_best))
        for r in _contrast(rows, FITTED)
    ]
    blocks = sorted({r.block for r in rows})
    return Curve(blocks, arms, Estimates.of(nulls), references={"chance": 0.5})


def _contrast(rows: Sequence[Row], pair: tuple[str, str]) -> list[Row]:
    """The rows of two subjects, from the first block to the last."""
    return sorted((r for r in rows if (r.positive, r.negative) == pair), key=lambda r: r.block)


def _whole(figure: Figure) -> Figure:
    """The figure with blocks at whole numbers."""
    for axes in figure.get_axes():
        locator: Any = axes.get_xaxis().get_major_locator()
        locator.set_params(integer=True)
    return figure


def _separation(rows: Sequence[Row]) -> Figure:
    series = {}
    several = len({r.model for r in rows}) > 1
    for model in dict.fromkeys(r.model for r in rows):
        own = _contrast([r for r in rows if r.model == model], FITTED)
        name = f"{model}, " if several else ""
        series[f"{name}held out"] = Estimates.of(
            [Span(r.separation, r.separation_low, r.separation_high) for r in own]
        )
        series[f"{name}in-sample (published form)"] = Estimates([r.in_sample for r in own])
    labels = Labels(
        "How far apart are the fine-tuned model and the original along the direction?",
        "mean projection, difference",
        f"{rows[0].position}, {rows[0].method.replace('_', ' ')}; 95 % jackknife over prompts. "
        "In-sample it is the length of the mean difference by construction.",
    )
    return lines_over_layers(series, labels)


def _projections(row: Row, table: Evidence[Row]) -> Figure:
    """The mean and the middle 95 % of the projections of each subject over the blocks."""
    tensors = table.tensors(row.projections)
    values = tensors[row.method].numpy()[:, :, ~tensors["fitted"].numpy()]
    arms = {
        name: Estimates(
            values[i].mean(axis=1).tolist(),
            np.quantile(values[i], 0.025, axis=1).tolist(),
            np.quantile(values[i], 0.975, axis=1).tolist(),
        )
        for i, name in enumerate(SUBJECTS[: len(values)])
    }
    labels = Labels(
        "Projections of each model's states on the direction",
        "projection",
        f"{row.position}, {row.method.replace('_', ' ')}; mean and the middle 95 % of "
        f"{values.shape[2]} unseen prompts.",
        None,
        "block",
    )
    panel = {row.model: Curve(list(range(values.shape[1])), arms)}
    return _whole(curve_with_band(panel, labels))


def _beside(rows: Sequence[Row]) -> Figure:
    """Ours beside what others published, each labelled."""
    own = _contrast(rows, FITTED)
    r = own[headline(own)]
    mean = float(np.mean([x.in_sample for x in own if x.in_sample is not None]))
    columns = {
        "": [
            "separation, in-sample, mean over blocks",
            f"separation, in-sample, block {r.block}",
            f"separation, held out, block {r.block}",
        ],
        f"{r.model} ({r.weights})": [
            f"{mean:.2f}",
            f"{r.in_sample:.2f}",
            f"{r.separation:.2f} [{r.separation_low:.2f}, {r.separation_high:.2f}]",
        ],
        "published": [f"{published.SEPARATION} (blocks 12-15)", "", "not published"],
    }
    labels = Labels(
        "Ours beside a published figure",
        "",
        f"Published: {published.OF}; other weights and prompts, in units of its own states: a "
        "fact to stand beside, not a target.",
    )
    return table_figure(columns, labels)
