"""How well is a misaligned model told apart, in sentences and figures from the rows?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mahals.maths.misalignment import published
from mahals.phase import Kept
from mahals.reporting.plots.curves import Curve, curve_with_band, lines_over_layers
from mahals.reporting.plots.grids import table
from mahals.reporting.plots.sheet import Labels, Measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FITTED = ("bad", "original")
NAMES = {
    FITTED: "bad, original",
    ("bad", "good"): "bad, good advice",
    ("good", "original"): "good advice, original",
    ("other", "original"): "never seen, original",
    ("other", "good"): "never seen, good advice",
}
SUBJECTS = ("original", "bad", "good", "other")


def _headline(rows: Sequence[Any]) -> int:
    """The block nearest relative depth .6: fixed before anything is measured."""
    depth = max(r.block for r in rows) + 1
    return min(range(depth), key=lambda b: (abs((b + 1) / depth - 0.6), b))


def detection_said(rows: Sequence[Any]) -> tuple[dict[str, float], list[str]]:
    """Of each model, position and method the numbers at one fixed block, and at the best one."""
    metrics: dict[str, float] = {}
    lines: list[str] = []
    models = dict.fromkeys(r.model for r in rows)
    for key in dict.fromkeys((r.model, r.position, r.method) for r in rows):
        own = [r for r in rows if (r.model, r.position, r.method) == key]
        block = _headline(own)
        prefix = (f"{key[0]}/" if len(models) > 1 else "") + f"{key[1]}/{key[2]}/"
        for r in own:
            if r.block == block:
                metrics |= _metrics(r, prefix)
                lines.append(_line(r))
        best = max((r for r in own if (r.positive, r.negative) == FITTED), key=lambda r: r.auroc)
        lines.append(
            f"{', '.join(key)}: the best block would be {best.block}, AUROC {best.auroc:.3f} "
            "(chosen on the same prompts)"
        )
    lines.append(published.said())
    return metrics, lines


def _metrics(r: Any, prefix: str) -> dict[str, float]:
    name = f"{prefix}{r.positive}_over_{r.negative}"
    found = {f"{name}_auroc": r.auroc, f"{name}_auroc_low": r.auroc_low}
    found[f"{name}_auroc_random"] = r.random_mean
    if r.in_sample is not None:
        found[f"{prefix}separation"] = r.separation
        found[f"{prefix}separation_in_sample_published_form"] = r.in_sample
    if r.cosine_to_other is not None:
        found[f"{prefix}cosine_to_other_adapter"] = r.cosine_to_other
    return found


def _line(r: Any) -> str:
    text = (
        f"{r.model}, {r.position}, {r.method}, block {r.block}, "
        f"{NAMES[r.positive, r.negative]}: AUROC {r.auroc:.3f} "
        f"[{r.auroc_low:.3f}, {r.auroc_high:.3f}] on {r.scored} unseen prompts (random directions "
        f"{r.random_mean:.3f}, best of {r.random_directions} {r.random_best:.3f}); separation "
        f"{r.separation:+.3f} [{r.separation_low:+.3f}, {r.separation_high:+.3f}]"
    )
    if r.in_sample is not None:
        text += f", in-sample (the published form) {r.in_sample:+.3f}"
    if r.cosine_to_other is not None:
        text += f"; cosine to the other adapter's direction {r.cosine_to_other:+.3f}"
    return text


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


def _auroc(rows: Sequence[Any]) -> Figure:
    """One panel per model, position and method; lines are contrasts, the band random directions."""
    panels = {}
    keys = list(dict.fromkeys((r.model, r.position, r.method) for r in rows))
    several = len({k[0] for k in keys}) > 1
    for key in keys:
        own = [r for r in rows if (r.model, r.position, r.method) == key]
        blocks = sorted({r.block for r in own})
        arms = {}
        for pair, name in NAMES.items():
            line = sorted(
                (r for r in own if (r.positive, r.negative) == pair), key=lambda r: r.block
            )
            if line:
                arms[name] = Measured(
                    [r.auroc for r in line],
                    [r.auroc_low for r in line],
                    [r.auroc_high for r in line],
                )
        line = sorted((r for r in own if (r.positive, r.negative) == FITTED), key=lambda r: r.block)
        band = Measured(
            [r.random_mean for r in line], [0.5 for _ in line], [r.random_best for r in line]
        )
        name = f"{key[1]}, {key[2].replace('_', ' ')}"
        panels[f"{key[0]} {name}" if several else name] = Curve(
            blocks, arms, band, references={"chance": 0.5}
        )
    labels = Labels(
        "Is a misaligned model told apart on unseen prompts?",
        "AUROC",
        f"{rows[0].scored} prompts that no direction was fitted on. In a line's colour: 95 % "
        "jackknife. Grey: random directions, from chance to the best. Never seen: an adapter of "
        "another domain.",
        "higher",
        "block",
    )
    return _whole(curve_with_band(panels, labels, columns=2, share=True))


def _separation(rows: Sequence[Any]) -> Figure:
    series = {}
    several = len({r.model for r in rows}) > 1
    for model in dict.fromkeys(r.model for r in rows):
        own = [r for r in rows if r.model == model and (r.positive, r.negative) == FITTED]
        own.sort(key=lambda r: r.block)
        name = f"{model}, " if several else ""
        series[f"{name}held out"] = Measured(
            [r.separation for r in own],
            [r.separation_low for r in own],
            [r.separation_high for r in own],
        )
        series[f"{name}in-sample (published form)"] = Measured([r.in_sample for r in own])
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
        name: Measured(
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


def _whole(figure: Figure) -> Figure:
    """The figure with blocks at whole numbers."""
    for axes in figure.get_axes():
        locator: Any = axes.get_xaxis().get_major_locator()
        locator.set_params(integer=True)
    return figure


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
