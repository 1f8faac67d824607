"""How far apart does each model hold safe and unsafe prompts, and is it above its floors?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from mahals.data.texts import AXIOMS
from mahals.maths.metrics.spaces import Space
from mahals.models.activations.capture import Pool
from mahals.phase import Cost, Kept, Lab, Phase, Summary
from mahals.phases.baseline_aqi.measure.scores import (
    FLOORS,
    LayerPooling,
    Readout,
    Score,
    Scored,
    Setting,
    compared_draws,
    compared_space,
    reads,
    scored,
)
from mahals.phases.baseline_aqi.report import (
    best_line,
    chances,
    headline,
    model_lines,
    model_metrics,
    society,
)
from mahals.reporting.plots.bars import bars_with_intervals
from mahals.reporting.plots.curves import lines_over_layers
from mahals.reporting.plots.grids import Grid, axiom_heatmap
from mahals.reporting.plots.sheet import Labels, Measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPLIT = "evaluation"


@dataclass(frozen=True)
class Params:
    """How states are read and compared."""

    pools: tuple[Pool, ...]
    spaces: tuple[Space, ...]
    permutations: int
    resamples: int
    tsne: bool
    layer_pooling: LayerPooling


@dataclass(frozen=True)
class Task:
    """One readout of one model: a checkpoint's states, or a floor."""

    models: tuple[str, ...]
    readout: Readout


@dataclass(frozen=True)
class Row(Score):
    """One score of one model."""


def plan(params: Params, lab: Lab) -> Sequence[Task]:
    """The two checkpoints of the pair, then the floors; `sham` exists on organisms only."""
    readouts: tuple[Readout, ...] = ("aligned", "base", "random", "embeddings", "tfidf")
    if lab.weights == "organism":
        readouts = (*readouts, "sham")
    return [Task((lab.unit,), readout) for readout in readouts]


def measure(task: Task, params: Params, lab: Lab) -> Iterator[Row]:
    """Scores of one readout: tests and probes at the headline layer, bare along the profile.

    Kept: influence (rows, n) of every mean, clusters (n,), and for the aligned checkpoint draws
    (resamples, 7), the bootstrap draws of the axioms where models are compared.
    """
    prompts = lab.prompts(SPLIT)
    setting = Setting(**vars(params), seed=lab.seed)
    found: list[Scored] = []
    tensors: dict[str, torch.Tensor] = {}
    for read in reads(task.models[0], task.readout, setting, lab, prompts):
        every = read.last or read.layer_weights is not None
        for space in params.spaces if every else params.spaces[:1]:
            found.append(scored(read, space, setting, prompts, len(found)))
            draws = compared_draws(read, space, setting, prompts)
            if draws is not None:
                tensors["draws"] = torch.from_numpy(draws)
    codes = {c: i for i, c in enumerate(dict.fromkeys(p.cluster for p in prompts))}
    tensors["influence"] = torch.from_numpy(np.stack([s.influence for s in found]))
    tensors["clusters"] = torch.tensor([codes[p.cluster] for p in prompts])
    reference = lab.keep(f"{task.readout}.safetensors", tensors)
    for score in (score for s in found for score in s.scores):
        at = reference if score.axiom == "mean" else None
        yield Row(**vars(replace(score, influence=at)))


def summarize(rows: Sequence[Row], kept: Kept) -> Summary:
    """Per model the headline AQI with interval, floors and axioms; across models P(best).

    Across models also their homophily and weakest link, in the space in which models compare.

    Metric names carry the model only when there are several.
    """
    models = list(dict.fromkeys(r.model for r in rows))
    metrics: dict[str, float] = {}
    lines: list[str] = []
    for model in models:
        own = [r for r in rows if r.model == model]
        prefix = f"{model}/" if len(models) > 1 else ""
        metrics |= {prefix + k: v for k, v in model_metrics(own).items()}
        lines += model_lines(model, own, kept)
    if len(models) > 1:
        best = chances(rows, kept)
        metrics |= {f"{model}/p_best": p for model, p in best.items()}
        lines.append(best_line(best, rows))
        alike = society(rows, kept)
        if alike is not None:
            metrics |= alike.metrics()
            lines.append(alike.line())
    return Summary(metrics, tuple(lines), (), ())


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """aqi_bar_plot with intervals and floors, aqi_axiom_heatmap, aqi_layer_profile.

    Several models are drawn in the space in which models compare, one model in its first.
    """
    models = list(dict.fromkeys(r.model for r in rows))
    by_model = {m: [r for r in rows if r.model == m] for m in models}
    first = next(r for r in rows if r.axiom == "mean")
    space = compared_space([r.space for r in rows]) if len(models) > 1 else first.space
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
        "aqi_bar_plot": _bars(by_model, space, bars, kept),
        "aqi_axiom_heatmap": _heatmap(by_model, space, labels),
        "aqi_layer_profile": _profile(by_model, profile),
    }


NAMES = {
    "base": "base",
    "sham": "sham",
    "tfidf": "floor: TF-IDF",
    "embeddings": "floor: embeddings",
    "random": "floor: random weights",
}


def _bars(
    by_model: Mapping[str, Sequence[Row]], space: Space, labels: Labels, kept: Kept
) -> Figure:
    found = [headline(rows, "aligned", "mean", space) for rows in by_model.values()]
    names = ("base", "sham", *FLOORS)
    floors = {
        name: [headline(rows, name, "mean", space) for rows in by_model.values()] for name in names
    }
    shares = chances([r for rows in by_model.values() for r in rows], kept)
    best = max(shares, key=lambda m: shares[m]) if len(by_model) > 1 and shares else None
    return bars_with_intervals(
        list(by_model),
        _measured(found),
        labels,
        floors={
            NAMES[name]: [None if r is None else r.aqi for r in row]
            for name, row in floors.items()
            if any(row)
        },
        mark=best,
    )


def _measured(rows: Sequence[Score | None]) -> Measured:
    return Measured(
        [None if r is None else r.aqi for r in rows],
        [None if r is None else r.aqi_low for r in rows],
        [None if r is None else r.aqi_high for r in rows],
    )


def _heatmap(by_model: Mapping[str, Sequence[Row]], space: Space, labels: Labels) -> Figure:
    cells = [
        [None if (r := headline(rows, "aligned", a, space)) is None else r.aqi for a in AXIOMS]
        for rows in by_model.values()
    ]
    return axiom_heatmap(
        Grid(list(by_model), list(AXIOMS), cells), labels, weakest=len(by_model) > 1
    )


def _profile(by_model: Mapping[str, Sequence[Row]], labels: Labels) -> Figure:
    series = {}
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


PHASE = Phase(
    Params,
    Task,
    Row,
    plan,
    measure,
    summarize,
    draw,
    needs=("datasets", "organisms"),
    per="model",
    cost=Cost(seconds=4.0, megabytes=0.5),
)
