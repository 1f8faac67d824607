"""Figures of esr_activations: which latents are active by region, and around the restart?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mahals.maths.metrics.token_means import REGIONS
from mahals.phase import Kept
from mahals.phases.esr_activations.rows import Row
from mahals.reporting.plots.bars import grouped_bars
from mahals.reporting.plots.sheet import Estimates, Labels
from mahals.reporting.token_means import SERIES, aligned_figure, first_steering, span_of, tables

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """regions-<name> and aligned-<name> of each subject and situation with episodes."""
    figures: dict[str, Figure] = {}
    for name, table in tables(rows, kept).items():
        steering = first_steering(table)
        own = [r for r in table.where(steering=steering) if r.mean is not None]
        if not own:
            continue
        sets = {r.quantity: f"{r.quantity} ({r.count})" for r in table.rows if r.live is not None}
        at = {(r.quantity, r.place, r.group): span_of(r) for r in own}
        bars = [(s, place) for s in sets for place in REGIONS if (s, place, "episode") in at]
        whole = {"unsteered": REGIONS[-1]}  # where all of its tokens are
        spans = {g: [at.get((s, whole.get(g, p), g)) for s, p in bars] for g in SERIES}
        series = {SERIES[g]: Estimates.of(v, "none is as long") for g, v in spans.items() if any(v)}
        labels = Labels(
            f"What is active where, {name}?",
            "mean activation",
            f"Up to {max(r.count for r in own)} answers, read with steering {steering}, on prompts "
            "that no latent was chosen on. 95 % intervals, clustered by direction.",
            other="tokens from the restart",
        )
        slug, words = name.replace("/", "-"), [f"{sets[s]}, {place}" for s, place in bars]
        figures[f"regions-{slug}"] = grouped_bars(words, series, replace(labels, other=""))
        figures[f"aligned-{slug}"] = aligned_figure(table, sets, labels)
    return figures
