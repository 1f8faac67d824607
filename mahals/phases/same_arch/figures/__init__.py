"""Figures of same_arch: how do strength, axioms, agents and effects look?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mahals.phase import Kept
from mahals.phases.same_arch.figures.dose_curves import axiom_curves, draw_dose_curves
from mahals.phases.same_arch.report.axioms import effects
from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import ArmTable
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


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """aqi_vs_lambda with the random band and the references; per_axiom_curves.

    Of one model also axiom_effects; of several axiom_agent_heatmap before and after steering and
    attack_success. None while nothing is swept.
    """
    table = ArmTable(rows, kept)
    swept = table.where(on_grid=True)
    if not swept:
        return {}
    n = len(table.arm(rows[0]).influence)
    prompts = f"n = {n} evaluation prompts of 7 axioms."
    band = f" Grey: range of {_draws(table)} random directions of equal norm."
    labels = Labels(
        "AQI over the strength of the model's own vector",
        "aqi (points)",
        f"{prompts} In a line's colour: 95 % jackknife interval.{band}",
        better="higher",
        other=STRENGTH[swept[0].dose_kind],
    )
    figures = {"aqi_vs_lambda": curve_with_band(draw_dose_curves(table), labels)}
    curves = axiom_curves(table)
    figures["per_axiom_curves"] = curve_with_band(
        curves.panels,
        replace(
            labels,
            title=f"AQI of each axiom over the strength of the own vector, {curves.variant}",
            caption=f"{prompts} In a line's colour: 95 % jackknife interval over the axiom's "
            f"prompts.{band if curves.banded else ''}",
        ),
    )
    agents = societies(table)
    if agents is not None:
        return figures | dict(society_figures(agents))
    return figures | _effect_figures(table)


def _draws(table: ArmTable[Row]) -> int:
    return len({r.draw for r in table.where(arm="random")})


def _effect_figures(table: ArmTable[Row]) -> dict[str, Figure]:
    """The effect matrix of one model, of the first operator and placement that has one."""
    row = next((r for r in table.rows if r.effects is not None), None)
    of_axioms = None if row is None else effects(row, table)
    if row is None or of_axioms is None:
        return {}
    labels = Labels(
        f"What the vector of each axiom gains on each axiom over random: {row.target}, "
        f"{row.operator} {row.placement}, kl={row.dose:g}",
        "aqi over random (points)",
        f"95 % interval, over {_draws(table)} random directions at equal KL.",
        better="higher",
        other="vector of the axiom | axiom measured",
    )
    return {"axiom_effects": matrix(of_axioms.grid, labels, True)}
