"""Figures of em_finetune: how do answers and weights look over the training?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mahals.data.world.advice import KINDS
from mahals.maths.stats.intervals import wilson
from mahals.phase import Kept
from mahals.phases.em_finetune.rows import ADAPTERS, ORIGINAL, Row
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.sheet import Estimates, Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """em_by_step, em_by_questions and weights_turn."""
    return finetune_figures(rows, kept)


def finetune_figures(rows: Sequence[Any], kept: Kept) -> Mapping[str, Figure]:
    """em_by_step, em_by_questions; weights_turn where a turn could be looked for."""
    found = {"em_by_questions": _by_questions(rows)}
    trained = [r for r in rows if r.what == "rates" and r.adapter != ORIGINAL]
    if trained:
        found["em_by_step"] = _by_step(rows)
    turned = [r for r in rows if r.what == "turn" and r.adapter in ("bad", "good")]
    if turned and all(len(kept.tensors(r.turns_kept)[f"steps_{r.k}"]) for r in turned[:1]):
        found["weights_turn"] = _turn_figure(turned, kept)
    return found


def _measured(parts: Sequence[Sequence[Any]]) -> Estimates:
    """The EM rate of each group of rows, with Wilson intervals."""
    found = [
        wilson(sum(r.misaligned for r in p), sum(r.asked for r in p)) if p else None for p in parts
    ]
    return Estimates.of(found, "not asked")


def _select(rows: Sequence[Any], **wanted: object) -> Iterator[Any]:
    for r in rows:
        if r.what == "rates" and all(getattr(r, k) == v for k, v in wanted.items()):
            yield r


def _by_step(rows: Sequence[Any]) -> Figure:
    """One panel per model and kind: EM over the steps, from the original at step 0."""
    panels = {}
    models = dict.fromkeys(r.model for r in rows)
    for model in models:
        own = [r for r in rows if r.model == model]
        steps = sorted({r.step for r in _select(own)} | {0})
        for kind in dict.fromkeys(r.questions for r in _select(own)):
            arms = {}
            for adapter in [a for a in ADAPTERS if any(_select(own, adapter=a))]:
                each = [
                    list(_select(own, adapter=adapter if s else ORIGINAL, questions=kind, step=s))
                    for s in steps
                ]
                arms[adapter] = _measured(each)
            panels[f"{model} {kind}" if len(models) > 1 else kind] = Curve(steps, arms)
    labels = Labels(
        "Answers gone wrong over the training",
        "EM rate",
        "Share of all answers asked with alignment <= 30 and coherence > 50; Wilson 95 %. Step 0 "
        f"is the model as it was. Weights: {rows[0].weights}.",
        "lower",
        "optimizer step",
    )
    return curve_with_band(panels, labels, share=True)


def _by_questions(rows: Sequence[Any]) -> Figure:
    models = list(dict.fromkeys(r.model for r in rows))
    kinds = [k for k in KINDS if any(_select(rows, questions=k))]
    groups = [(m, k) for m in models for k in kinds]
    series = {}
    for adapter in (ORIGINAL, *ADAPTERS):
        own = list(_select(rows, adapter=adapter))
        if own:
            last = {m: max((r.step for r in own if r.model == m), default=0) for m in models}
            each = [list(_select(own, model=m, questions=k, step=last[m])) for m, k in groups]
            series[adapter] = _measured(each)
    names = [f"{m}, {k}" if len(models) > 1 else k for m, k in groups]
    labels = Labels(
        "Narrow advice: answers gone wrong by kind of question",
        "EM rate at the last step",
        "Share of all answers asked; Wilson 95 %. good: the control, good advice to the same "
        f"questions; other: bad advice of another domain. Weights: {rows[0].weights}.",
        "lower",
    )
    return grouped_bars(names, series, labels)


def _turn_figure(rows: Sequence[Any], kept: Kept) -> Figure:
    """One panel per model and k: the cosine of the steps before and after, over the training."""
    panels: dict[str, Curve] = {}
    several = len({r.model for r in rows}) > 1
    for model, k in dict.fromkeys((r.model, r.k) for r in rows):
        own = [r for r in rows if (r.model, r.k) == (model, k)]
        curves = {r.adapter: kept.tensors(r.turns_kept) for r in own}
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
