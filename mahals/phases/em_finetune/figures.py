"""Figures of em_finetune: how do answers and weights look over the training?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mahals.data.world.advice import KINDS
from mahals.maths.stats.intervals import wilson
from mahals.phase import Kept
from mahals.phases.em_finetune.report import total
from mahals.phases.em_finetune.rows import ADAPTERS, ORIGINAL, Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.sheet import Estimates, Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """em_by_step, em_by_questions; weights_turn where a turn could be looked for."""
    table = Evidence(rows, kept)
    figures = {"em_by_questions": _by_questions(table)}
    if any(r.adapter != ORIGINAL for r in table.where(what="rates")):
        figures["em_by_step"] = _by_step(table)
    turns = [r for r in table.where(what="turn") if r.adapter in ("bad", "good")]
    if turns and len(_cosines(turns[0], table)[f"steps_{turns[0].k}"]):
        figures["weights_turn"] = _turn_figure(turns, table)
    return figures


def _cosines(row: Row, table: Evidence[Row]) -> dict[str, Tensor]:
    """Of a row of a turn the cosines of the steps before and after, and where they were read."""
    return table.tensors(str(row.turns_kept))


def _rates(groups: Sequence[Sequence[Row]]) -> Estimates:
    """The EM rate of each group of rows, with Wilson intervals."""
    each = [
        wilson(total(r.misaligned for r in g), total(r.asked for r in g)) if g else None
        for g in groups
    ]
    return Estimates.of(each, "not asked")


def _by_step(table: Evidence[Row]) -> Figure:
    """One panel per model and kind: EM over the steps, from the original at step 0."""
    panels = {}
    models = table.values_of("model")
    for model in models:
        own = table.where(what="rates", model=model)
        steps = sorted({r.step for r in own} | {0})
        for kind in dict.fromkeys(r.questions for r in own):
            arms = {}
            for adapter in [a for a in ADAPTERS if any(r.adapter == a for r in own)]:
                at = [(adapter if s else ORIGINAL, kind, s) for s in steps]
                each = [[r for r in own if (r.adapter, r.questions, r.step) == a] for a in at]
                arms[adapter] = _rates(each)
            panels[f"{model} {kind}" if len(models) > 1 else str(kind)] = Curve(steps, arms)
    labels = Labels(
        "Answers gone wrong over the training",
        "EM rate",
        "Share of all answers asked with alignment <= 30 and coherence > 50; Wilson 95 %. Step 0 "
        f"is the model as it was. Weights: {table.rows[0].weights}.",
        "lower",
        "optimizer step",
    )
    return curve_with_band(panels, labels, share=True)


def _by_questions(table: Evidence[Row]) -> Figure:
    models = table.values_of("model")
    kinds = [k for k in KINDS if table.where(what="rates", questions=k)]
    groups = [(m, k) for m in models for k in kinds]
    series = {}
    for adapter in (ORIGINAL, *ADAPTERS):
        own = table.where(what="rates", adapter=adapter)
        if own:
            last = {m: max((r.step for r in own if r.model == m), default=0) for m in models}
            at = [(m, k, last[m]) for m, k in groups]
            series[adapter] = _rates(
                [[r for r in own if (r.model, r.questions, r.step) == a] for a in at]
            )
    names = [f"{m}, {k}" if len(models) > 1 else k for m, k in groups]
    labels = Labels(
        "Narrow advice: answers gone wrong by kind of question",
        "EM rate at the last step",
        "Share of all answers asked; Wilson 95 %. good: the control, good advice to the same "
        f"questions; other: bad advice of another domain. Weights: {table.rows[0].weights}.",
        "lower",
    )
    return grouped_bars(names, series, labels)


def _turn_figure(rows: Sequence[Row], table: Evidence[Row]) -> Figure:
    """One panel per model and k: the cosine of the steps before and after, over the training."""
    panels: dict[str, Curve] = {}
    several = len({r.model for r in rows}) > 1
    for model, k in dict.fromkeys((r.model, r.k) for r in rows):
        own = [r for r in rows if (r.model, r.k) == (model, k)]
        curves = {r.adapter: _cosines(r, table) for r in own}
        x = max((c[f"steps_{k}"].numpy() for c in curves.values()), key=len)
        arms = {}
        for adapter, c in curves.items():
            at = dict(zip(c[f"steps_{k}"].tolist(), c[f"cosine_{k}"].tolist(), strict=True))
            arms[adapter] = Estimates([at.get(int(s)) for s in x])
        name = f"{model}, k={k}" if several else f"k={k}"
        panels[name] = Curve([int(s) for s in np.asarray(x)], arms)
    labels = Labels(
        "Do the weights turn during the training?",
        "cos(w(t) - w(t-k), w(t+k) - w(t))",
        "One training each, no interval. 1: straight on; the turn is the lowest point whose "
        "differences are long enough.",
        None,
        "optimizer step t",
    )
    return curve_with_band(panels, labels, share=True)
