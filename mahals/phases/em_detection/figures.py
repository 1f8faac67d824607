"""Figures of em_detection: how well is each model told from another, block by block?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mahals.maths.misalignment import published
from mahals.phase import Kept
from mahals.phases.em_detection.report import FITTED, SUBJECTS, _auroc, _headline, _whole
from mahals.phases.em_detection.rows import Row
from mahals.reporting.plots.curves import Curve, curve_with_band, lines_over_layers
from mahals.reporting.plots.grids import table
from mahals.reporting.plots.sheet import Estimates, Labels, Span

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """auroc_per_layer, separation_per_layer, projections and, of one model, beside_published."""
    return detection_figures(rows, kept)


def detection_figures(rows: Sequence[Any], kept: Kept) -> Mapping[str, Figure]:
    """auroc_per_layer and separation_per_layer for each position and method, and projections."""
    found = {"auroc_per_layer": _auroc(rows)}
    position = rows[0].position
    some = [r for r in rows if (r.position, r.method) == (position, rows[0].method)]
    found["separation_per_layer"] = _separation(some)
    if len({r.model for r in rows}) == 1:
        found["projections"] = _projections(some, kept)
        found["beside_published"] = _beside(some)
    return found


def _separation(rows: Sequence[Any]) -> Figure:
    series = {}
    several = len({r.model for r in rows}) > 1
    for model in dict.fromkeys(r.model for r in rows):
        own = [r for r in rows if r.model == model and (r.positive, r.negative) == FITTED]
        own.sort(key=lambda r: r.block)
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


def _projections(rows: Sequence[Any], kept: Kept) -> Figure:
    """The mean and the middle 95 % of the projections of each subject over the blocks."""
    tensors = kept.tensors(rows[0].projections)
    values = tensors[rows[0].method].numpy()[:, :, ~tensors["fitted"].numpy()]
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
        f"{rows[0].position}, {rows[0].method.replace('_', ' ')}; mean and the middle 95 % of "
        f"{values.shape[2]} unseen prompts.",
        None,
        "block",
    )
    panel = {rows[0].model: Curve(list(range(values.shape[1])), arms)}
    return _whole(curve_with_band(panel, labels))


def _beside(rows: Sequence[Any]) -> Figure:
    """Ours beside what others published, each labelled."""
    own = [r for r in rows if (r.positive, r.negative) == FITTED]
    r = own[_headline(own)]
    mean = float(np.mean([x.in_sample for x in own]))
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
    return table(columns, labels)
