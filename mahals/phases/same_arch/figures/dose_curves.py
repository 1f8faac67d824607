"""Dose curves: how does AQI move with the strength, beside its random band?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mahals.data.texts import AXIOMS
from mahals.maths.stats.intervals import jackknife_interval
from mahals.phase import Kept
from mahals.reporting.axiom_parts import part
from mahals.reporting.evidence import load
from mahals.reporting.plots.curves import Curve
from mahals.reporting.plots.sheet import Bounded, Estimates, Span
from mahals.schema import ArmRow


def _grid(rows: Sequence[ArmRow]) -> dict[tuple[str, str, str], list[ArmRow]]:
    """The rows of a lambda grid by target, operator and placement."""
    found: dict[tuple[str, str, str], list[ArmRow]] = {}
    for row in rows:
        if row.on_grid:
            key = (row.target, row.operator or "", row.placement or "")
            found.setdefault(key, []).append(row)
    return found


def _name(key: tuple[str, str, str], keys: Sequence[tuple[str, str, str]]) -> str:
    """The parts of a key in which the keys differ, or its first where there is but one."""
    parts = [p for i, p in enumerate(key) if len({k[i] for k in keys}) > 1]
    return "\n".join(parts) or key[0]


Intervals = Mapping[tuple[str, int], Sequence[Bounded]]
"""Of each row (its evidence file and its place there) the interval of each axiom's aqi."""


def _intervals(rows: Sequence[ArmRow], kept: Kept) -> Intervals:
    """The jackknife interval of the aqi of each axiom, of the arms that get a line."""
    lines = [r for r in rows if r.on_grid and r.arm in ("steered", "flipped")]
    found: dict[tuple[str, int], Sequence[Bounded]] = {}
    for arm in load(lines, kept):
        parts = [part(arm, [axiom]) for axiom in range(len(AXIOMS))]
        found[arm.row.evidence, arm.row.evidence_row] = [
            jackknife_interval(p.influence, p.estimate, p.clusters) for p in parts
        ]
    return found


def _values(
    x: Sequence[float], rows: Sequence[ArmRow], axiom: int | None, each: Intervals
) -> Estimates:
    by_dose = {r.dose: r for r in rows}
    chosen = [by_dose.get(v) for v in x]
    found: list[Bounded | None] = []
    for r in chosen:
        if r is None:
            found.append(None)
        elif axiom is None:
            found.append(Span(r.aqi, r.aqi_low, r.aqi_high))
        else:
            found.append(each[r.evidence, r.evidence_row][axiom])
    return Estimates.of(found)


def _band(x: Sequence[float], rows: Sequence[ArmRow], zero: float, axiom: int | None) -> Estimates:
    """Mean, lowest and highest of the random arms per strength; at 0 the unsteered value."""
    found: list[list[float]] = []
    for v in x:
        some = [
            r.aqi if axiom is None else r.aqi_axioms[axiom]
            for r in rows
            if r.arm == "random" and r.dose == v
        ]
        found.append(some if v else [zero])
    return Estimates.over(found)


def draw_dose_curves(rows: Sequence[ArmRow]) -> Mapping[str, Curve]:
    """One panel per target, operator and placement: the vector, its flip, the random band."""
    grids = _grid(rows)
    return {_name(k, list(grids)): _curve(rows, k, None, {}) for k in grids}


@dataclass(frozen=True)
class AxiomCurves:
    """A panel per axiom, and which operator and placement they show."""

    panels: Mapping[str, Curve]
    variant: str
    banded: bool  # whether the random arms are in them


def axiom_curves(rows: Sequence[ArmRow], kept: Kept) -> AxiomCurves:
    """One panel per axiom for one target; over several, one line per target in each panel.

    Each point has the jackknife interval over the axiom's prompts. Of several operators or
    placements the first is drawn.
    """
    grids = _grid(rows)
    first = next(iter(grids))
    variant = " ".join(first[1:])
    targets = {k[0] for k in grids}
    each = _intervals([r for k in grids if k[1:] == first[1:] for r in grids[k]], kept)
    if len(targets) == 1:
        own = {_lines(a): _curve(rows, first, i, each) for i, a in enumerate(AXIOMS)}
        return AxiomCurves(own, variant, True)
    same = [k for k in grids if k[1:] == first[1:]]
    x = sorted({r.dose for k in same for r in grids[k] if r.dose is not None})
    panels = {
        _lines(a): Curve(x, {k[0]: _values(x, _steered(grids[k]), i, each) for k in same})
        for i, a in enumerate(AXIOMS)
    }
    return AxiomCurves(panels, variant, False)


def _lines(axiom: str) -> str:
    """An axiom's name on two lines: it stands above a narrow panel."""
    return axiom.replace(" & ", " &\n")


def _steered(rows: Sequence[ArmRow]) -> list[ArmRow]:
    return [r for r in rows if r.arm == "steered"]


def _curve(
    rows: Sequence[ArmRow], key: tuple[str, str, str], axiom: int | None, each: Intervals
) -> Curve:
    grid = _grid(rows)[key]
    steered = _steered(grid)
    x = sorted({r.dose for r in steered if r.dose is not None})
    references: dict[str, float] = {
        r.arm: (r.aqi if axiom is None else r.aqi_axioms[axiom])
        for r in rows
        if r.target == key[0] and r.arm in ("unsteered", "aligned", "prompt")
    }
    flipped = [r for r in grid if r.arm == "flipped"]
    return Curve(
        x,
        {"own vector": _values(x, steered, axiom, each)},
        band=_band(x, grid, references["unsteered"], axiom),
        flipped={"sign flipped": _values(x, flipped, axiom, each)},
        references=references,
    )
