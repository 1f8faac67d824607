"""How does AQI move with the strength, beside its random band: rows into panels of curves?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mahals.arms.kinds import ArmRow
from mahals.data import AXIOMS
from mahals.figures import Curve, Measured


def _grid(rows: Sequence[ArmRow]) -> dict[tuple[str, str, str], list[ArmRow]]:
    """The rows of a lambda grid by target, operator and placement."""
    found: dict[tuple[str, str, str], list[ArmRow]] = {}
    for row in rows:
        if row.dose_kind == "lambda":
            key = (row.target, row.operator or "", row.placement or "")
            found.setdefault(key, []).append(row)
    return found


def _name(key: tuple[str, str, str], keys: Sequence[tuple[str, str, str]]) -> str:
    """The parts of a key in which the keys differ, or its first where there is but one."""
    parts = [p for i, p in enumerate(key) if len({k[i] for k in keys}) > 1]
    return "\n".join(parts) or key[0]


def _values(x: Sequence[float], rows: Sequence[ArmRow], axiom: int | None) -> Measured:
    by_dose = {r.dose: r for r in rows}
    chosen = [by_dose.get(v) for v in x]
    values = [
        None if r is None else (r.aqi if axiom is None else r.aqi_axioms[axiom]) for r in chosen
    ]
    if axiom is not None:
        return Measured(values)
    return Measured(
        values,
        [None if r is None else r.aqi_low for r in chosen],
        [None if r is None else r.aqi_high for r in chosen],
    )


def _band(x: Sequence[float], rows: Sequence[ArmRow], zero: float, axiom: int | None) -> Measured:
    """Mean, lowest and highest of the random arms per strength; at 0 the unsteered value."""
    found: list[list[float]] = []
    for v in x:
        some = [
            r.aqi if axiom is None else r.aqi_axioms[axiom]
            for r in rows
            if r.arm == "random" and r.dose == v
        ]
        found.append(some if v else [zero])
    return Measured(
        [float(np.mean(v)) if v else None for v in found],
        [min(v, default=None) for v in found],
        [max(v, default=None) for v in found],
    )


def dose_curves(rows: Sequence[ArmRow]) -> Mapping[str, Curve]:
    """One panel per target, operator and placement: the vector, its flip, the random band."""
    grids = _grid(rows)
    return {_name(k, list(grids)): _curve(rows, k, grids[k], None) for k in grids}


@dataclass(frozen=True)
class AxiomCurves:
    """A panel per axiom, and which operator and placement they show."""

    panels: Mapping[str, Curve]
    variant: str
    banded: bool  # whether the random arms are in them


def axiom_curves(rows: Sequence[ArmRow]) -> AxiomCurves:
    """One panel per axiom for one target; over several, one line per target in each panel.

    Of several operators or placements the first is drawn.
    """
    grids = _grid(rows)
    first = next(iter(grids))
    variant = " ".join(first[1:])
    targets = {k[0] for k in grids}
    if len(targets) == 1:
        own = {_lines(a): _curve(rows, first, grids[first], i) for i, a in enumerate(AXIOMS)}
        return AxiomCurves(own, variant, True)
    same = [k for k in grids if k[1:] == first[1:]]
    x = sorted({r.dose for k in same for r in grids[k] if r.dose is not None})
    panels = {
        _lines(a): Curve(x, {k[0]: _values(x, _steered(grids[k]), i) for k in same})
        for i, a in enumerate(AXIOMS)
    }
    return AxiomCurves(panels, variant, False)


def _lines(axiom: str) -> str:
    """An axiom's name on two lines: it stands above a narrow panel."""
    return axiom.replace(" & ", " &\n")


def _steered(rows: Sequence[ArmRow]) -> list[ArmRow]:
    return [r for r in rows if r.arm == "steered"]


def _curve(
    rows: Sequence[ArmRow], key: tuple[str, str, str], grid: Sequence[ArmRow], axiom: int | None
) -> Curve:
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
        {"own vector": _values(x, steered, axiom)},
        band=_band(x, grid, references["unsteered"], axiom),
        flipped={"sign flipped": _values(x, flipped, axiom)},
        references=references,
    )
