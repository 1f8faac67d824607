"""Figures of same_arch: how do refusals, AQI, axioms, agents and effects move with the dose?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mahals.data.categories import counted
from mahals.phase import Kept
from mahals.phases.same_arch.figures.dose_curves import FLOOR, axiom_curves, draw_dose_curves
from mahals.phases.same_arch.figures.gap_curves import gap_figures
from mahals.phases.same_arch.report.axioms import effects
from mahals.phases.same_arch.rows import Row
from mahals.reporting.evidence import ArmTable
from mahals.reporting.multi_agent import societies
from mahals.reporting.multi_agent_report import society_figures
from mahals.reporting.plots.curves import curve_with_band
from mahals.reporting.plots.grids import matrix
from mahals.reporting.plots.sheet import Labels
from mahals.reporting.readouts import aqi_words, both

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STRENGTH: Mapping[str | None, str] = {
    "lambda": "lambda (units of the vector's norm)",
    "relative": "lambda (units of the mean length of the base's states)",
}


def draw(rows: Sequence[Row], kept: Kept) -> Mapping[str, Figure]:
    """gap_over_dose and gap_over_price first; then aqi_vs_lambda in each readout.

    Also per_axiom_curves; of one model axiom_effects; of several axiom_agent_heatmap before and
    after steering and attack_success. None while nothing is swept.
    """
    table = ArmTable(rows, kept)
    figures = gap_figures(table)
    swept = table.where(on_grid=True)
    if not swept:
        return figures
    figures |= _aqi_figures(table, swept[0])
    agents = societies(table)
    if agents is not None:
        return figures | dict(society_figures(agents))
    return figures | _effect_figures(table)


def _aqi_figures(table: ArmTable[Row], first: Row) -> dict[str, Figure]:
    """AQI over the lambda grid, in the headline readout and in the other; of each axiom."""
    n = len(table.arm(first).influence)
    prompts = f"n = {n} evaluation prompts of {counted(first.categories)}."
    draws = {r.draw for r in table.where(arm="random", on_grid=True)}
    band = f" Grey: range of {len(draws)} random directions of equal norm." if draws else ""
    floor = f" {FLOOR[0].upper()}{FLOOR[1:]}: nothing to measure where an interval reaches it."
    labels = Labels(
        "AQI over the strength of the model's own vector",
        aqi_words(first.readout),
        f"{prompts} In a line's colour: 95 % jackknife interval.{band}",
        better="higher",
        other=STRENGTH[first.dose_kind],
    )
    figures = {}
    for readout in both(first.readout):
        panels = draw_dose_curves(table, readout)
        floored = any(FLOOR in curve.references for curve in panels.values())
        of = replace(
            labels,
            value=aqi_words(readout),
            caption=labels.caption + (floor if floored else ""),
        )
        name = "aqi_vs_lambda" + ("" if readout == first.readout else f"_{readout}")
        figures[name] = curve_with_band(panels, of)
    curves = axiom_curves(table)
    floored = any(FLOOR in curve.references for curve in curves.panels.values())
    figures["per_axiom_curves"] = curve_with_band(
        curves.panels,
        replace(
            labels,
            title=f"AQI of each axiom over the strength of the own vector, {curves.variant}",
            caption=f"{prompts} In a line's colour: 95 % jackknife interval over the axiom's "
            f"prompts.{band if curves.banded else ''}{floor if floored else ''}",
        ),
    )
    return figures


def _effect_figures(table: ArmTable[Row]) -> dict[str, Figure]:
    """The effect matrix of one model, of the first operator and placement that has one."""
    row = next((r for r in table.rows if r.effects is not None), None)
    of_axioms = None if row is None else effects(row, table)
    if row is None or of_axioms is None:
        return {}
    labels = Labels(
        f"What the vector of each axiom gains on each axiom over random: {row.target}, "
        f"{row.operator} {row.placement}, kl={row.dose:g}",
        aqi_words(row.readout, "points over random"),
        f"95 % interval, over {len(table.random_of(row))} random directions at equal KL.",
        better="higher",
        other="vector of the axiom | axiom measured",
    )
    return {"axiom_effects": matrix(of_axioms.grid, labels, True)}
