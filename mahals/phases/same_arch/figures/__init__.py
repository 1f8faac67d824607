"""Figures of same_arch: how do strength, axioms, agents and effects look?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.same_arch.figures.dose_curves import axiom_curves, draw_dose_curves
from mahals.phases.same_arch.report.axioms import effects
from mahals.phases.same_arch.rows import Row
from mahals.reporting.multi_agent import societies
from mahals.reporting.multi_agent_report import society_figures
from mahals.reporting.plots.curves import curve_with_band
from mahals.reporting.plots.grids import matrix
from mahals.reporting.plots.sheet import Labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRENGTH: Mapping[str | None, str] = {
    "lambda": "lambda (units of the vector's norm)",
    "relative": "lambda (units of the mean length of the base's states)",
}


def sweep_figures(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """aqi_vs_lambda with the random band and the references; per_axiom_curves.

    Of one model also axiom_effects; of several axiom_agent_heatmap before and after steering and
    attack_success.
    """
    draws = len({r.draw for r in rows if r.arm == "random"})
    n = kept.tensors(rows[0].evidence)["influence"].shape[1]
    prompts = f"n = {n} evaluation prompts of 7 axioms."
    band = f" Grey: range of {draws} random directions of equal norm."
    labels = Labels(
        "AQI over the strength of the model's own vector",
        "aqi (points)",
        f"{prompts} In a line's colour: 95 % jackknife interval.{band}",
        better="higher",
        other=STRENGTH[next(r.dose_kind for r in rows if r.on_grid)],
    )
    figures = {"aqi_vs_lambda": curve_with_band(draw_dose_curves(rows), labels)}
    curves = axiom_curves(rows, kept)
    figures["per_axiom_curves"] = curve_with_band(
        curves.panels,
        replace(
            labels,
            title=f"AQI of each axiom over the strength of the own vector, {curves.variant}",
            caption=f"{prompts} In a line's colour: 95 % jackknife interval over the axiom's "
            f"prompts.{band if curves.banded else ''}",
        ),
    )
    agents = societies(rows, kept)
    if agents is not None:
        return figures | dict(society_figures(agents))
    return figures | _effect_figures(rows, kept)


def _effect_figures(rows: Sequence[Row], kept: Kept) -> dict[str, Figure]:
    """The effect matrix of one model, of the first operator and placement that has one."""
    row = next((r for r in rows if r.effects is not None), None)
    draws = len({r.draw for r in rows if r.arm == "random"})
    found = None if row is None else effects(row, rows, kept)
    if row is None or found is None:
        return {}
    labels = Labels(
        f"What the vector of each axiom gains on each axiom over random: {row.target}, "
        f"{row.operator} {row.placement}, kl={row.dose:g}",
        "aqi over random (points)",
        f"95 % interval, over {draws} random directions at equal KL.",
        better="higher",
        other="vector of the axiom | axiom measured",
    )
    return {"axiom_effects": matrix(found.grid, labels, True)}


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """aqi_vs_lambda with the random band and the references; per_axiom_curves.

    Of one model also axiom_effects; of several axiom_agent_heatmap before and after steering and
    attack_success.
    """
    return sweep_figures(rows, kept)
