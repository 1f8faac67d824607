"""Figures of preference_tuning: how did losses fall, and what is refused after training?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mahals.maths.stats.intervals import Interval, wilson
from mahals.phase import Kept
from mahals.phases.preference_tuning.rows import ORDER, Row
from mahals.reporting.evidence import Evidence
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.curves import Curve, curve_with_band
from mahals.reporting.plots.sheet import Estimates, Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """loss_by_step and refusal_by_checkpoint."""
    table = Evidence(rows, kept)
    return {"loss_by_step": _losses(table), "refusal_by_checkpoint": _refusals(table)}


def _losses(table: Evidence[Row]) -> Figure:
    """One panel a model: the loss of the preferences and of the sham over the steps."""
    panels = {}
    for model in table.values_of("model"):
        own = [r for r in table.where(model=model) if r.checkpoint in ("dpo", "sham")]
        steps = range(1, max(len(r.losses) for r in own) + 1)
        panels[model] = Curve(list(steps), {r.checkpoint: Estimates(list(r.losses)) for r in own})
    labels = Labels(
        "Preferences learned, and shuffled ones",
        "loss of a step",
        "The DPO loss, and dpo.chosen_weight times the nats per token of the chosen answers. sham: "
        "half of the pairs exchanged. No interval: one training.",
        "lower",
        "optimizer step",
    )
    return curve_with_band(panels, labels)


def _refusals(table: Evidence[Row]) -> Figure:
    models = table.values_of("model")
    groups = [(m, c) for m in models for c in ORDER if table.where(model=m, checkpoint=c)]
    rows = [table.where(model=m, checkpoint=c)[0] for m, c in groups]
    series = {
        "unsafe": Estimates.of([_share(r.refusal_unsafe, r.unsafe) for r in rows]),
        "safe": Estimates.of([_share(r.refusal_safe, r.safe) for r in rows]),
    }
    names = [f"{m}, {c}" if len(models) > 1 else c for m, c in groups]
    labels = Labels(
        "Refusals of the gate's requests",
        "share refused",
        "Requests that nothing was trained on; Wilson 95 %. A broken answer counts as a failure.",
    )
    return grouped_bars(names, series, labels)


def _share(share: float, n: int) -> Interval:
    return wilson(round(share * n), n)
