"""Dose curves: how does AQI move with the strength, beside its random band, in each readout?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mahals.maths.metrics.aqi import at_floor, lowest_aqi
from mahals.maths.stats.intervals import Interval
from mahals.phases.same_arch.rows import Row
from mahals.reporting.axiom_parts import part
from mahals.reporting.evidence import ArmEvidence, ArmTable
from mahals.reporting.plots.curves import Curve
from mahals.reporting.plots.sheet import Estimates
from mahals.schema import Readout

What = Readout | int
"""What is drawn: the mean of the axioms in a readout, or one axiom in the headline readout."""

FLOOR = "lowest AQI there is"

Grid = tuple[str, str, str]
"""Which lambda grid: its target, operator and placement."""


def _grids(table: ArmTable[Row]) -> dict[Grid, list[Row]]:
    """The rows of each lambda grid."""
    grids: dict[Grid, list[Row]] = {}
    for row in table.where(on_grid=True):
        grids.setdefault((row.target, row.operator or "", row.placement or ""), []).append(row)
    return grids


def _name(key: Grid, keys: Sequence[Grid]) -> str:
    """The parts of a key in which the keys differ, or its first where there is but one."""
    parts = [p for i, p in enumerate(key) if len({k[i] for k in keys}) > 1]
    return "\n".join(parts) or key[0]


def _values(x: Sequence[float], rows: Sequence[Row], what: What, table: ArmTable[Row]) -> Estimates:
    by_dose = {r.dose: interval_of(r, what, table) for r in rows if r.dose in x}
    return Estimates.of([by_dose.get(v) for v in x])


def interval_of(row: Row, what: What, table: ArmTable[Row]) -> Interval:
    """The jackknife interval of a row's aqi in a readout, or of that of one axiom."""
    arm = table.arm(row)
    return part(arm, [what]).interval if isinstance(what, int) else arm.in_readout(what).interval


def prompts_of_axiom(arm: ArmEvidence, what: What) -> int:
    """The prompts of an axiom, of which the lowest AQI there is depends."""
    counts = np.bincount(arm.axioms)
    return int(counts[what] if isinstance(what, int) else counts.min())


def reaches_floor(row: Row, what: What, table: ArmTable[Row]) -> bool:
    """Whether there is nothing to measure: the interval reaches the lowest AQI there is."""
    prompts = prompts_of_axiom(table.arm(row), what)
    return at_floor(interval_of(row, what, table), prompts)


def _aqi(row: Row, what: What) -> float:
    if isinstance(what, int):
        return row.aqi_axioms[what]
    return row.aqi_last if what == "last" else row.aqi_mean


def _band(x: Sequence[float], rows: Sequence[Row], zero: float, what: What) -> Estimates:
    """Mean, lowest and highest of the random arms per strength; at 0 the unsteered value."""
    random = [r for r in rows if r.arm == "random"]
    return Estimates.over(
        [[_aqi(r, what) for r in random if r.dose == v] if v else [zero] for v in x]
    )


def draw_dose_curves(table: ArmTable[Row], readout: Readout) -> Mapping[str, Curve]:
    """One panel per target, operator and placement: the vector, its flip, the random band."""
    grids = _grids(table)
    return {_name(k, list(grids)): _curve(k, grids[k], readout, table) for k in grids}


@dataclass(frozen=True)
class AxiomCurves:
    """A panel per axiom, and which operator and placement they show."""

    panels: Mapping[str, Curve]
    variant: str
    banded: bool  # whether the random arms are in them


def axiom_curves(table: ArmTable[Row]) -> AxiomCurves:
    """One panel per axiom for one target; over several, one line per target in each panel.

    Each point has the jackknife interval over the axiom's prompts. Of several operators or
    placements the first is drawn.
    """
    grids = _grids(table)
    first = next(iter(grids))
    variant = " ".join(first[1:])
    names = table.rows[0].categories
    if len({k[0] for k in grids}) == 1:
        own = {_lines(a): _curve(first, grids[first], i, table) for i, a in enumerate(names)}
        return AxiomCurves(own, variant, True)
    same = [k for k in grids if k[1:] == first[1:]]
    x = sorted({r.dose for k in same for r in grids[k] if r.dose is not None})
    panels = {
        _lines(a): Curve(x, {k[0]: _values(x, _steered(grids[k]), i, table) for k in same})
        for i, a in enumerate(names)
    }
    return AxiomCurves(panels, variant, False)


def _lines(axiom: str) -> str:
    """An axiom's name on two lines: it stands above a narrow panel."""
    return axiom.replace(" & ", " &\n")


def _steered(rows: Sequence[Row]) -> list[Row]:
    return [r for r in rows if r.arm == "steered"]


def _curve(key: Grid, grid: Sequence[Row], what: What, table: ArmTable[Row]) -> Curve:
    steered = _steered(grid)
    x = sorted({r.dose for r in steered if r.dose is not None})
    references: dict[str, float] = {
        r.arm: _aqi(r, what)
        for r in table.where(target=key[0])
        if r.arm in ("unsteered", "aligned", "prompt")
    }
    if any(reaches_floor(r, what, table) for r in steered):
        references[FLOOR] = lowest_aqi(prompts_of_axiom(table.arm(steered[0]), what))
    flipped = [r for r in grid if r.arm == "flipped"]
    return Curve(
        x,
        {"own vector": _values(x, steered, what, table)},
        band=_band(x, grid, references["unsteered"], what),
        flipped={"sign flipped": _values(x, flipped, what, table)},
        references=references,
    )
