"""What crossed from which source to which target: evidence into source-by-target grids?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mahals.arms.evidence import Evidence, transfer_efficiency
from mahals.arms.kinds import ArmRow
from mahals.data import AXIOMS
from mahals.figures import Grid
from mahals.metrics.homophily import homophily
from mahals.phase import Kept
from mahals.stats import Interval


@dataclass(frozen=True)
class Cell:
    """A value with its interval where there is one, or why there is no value."""

    value: float | None
    interval: Interval | None
    reason: str


def _grid(sources: Sequence[str], targets: Sequence[str], cell: Callable[[str, str], Cell]) -> Grid:
    cells = [[cell(s, t) for t in targets] for s in sources]
    return Grid(
        list(sources),
        list(targets),
        [[c.value for c in row] for row in cells],
        [[None if c.interval is None else c.interval.low for c in row] for row in cells],
        [[None if c.interval is None else c.interval.high for c in row] for row in cells],
        [[None if c.value is not None else c.reason for c in row] for row in cells],
    )


def _axes(rows: Sequence[ArmRow]) -> tuple[list[str], list[str]]:
    """Sources and targets, in the order of the rows, targets first where they are sources too."""
    targets = list(dict.fromkeys(r.target for r in rows))
    moved = [r.source for r in rows if r.map is not None and r.source is not None]
    sources = [t for t in targets if t in moved] + [
        s for s in dict.fromkeys(moved) if s not in targets
    ]
    return sources, targets


def _find(found: Sequence[Evidence], source: str, target: str, kind: str) -> Evidence | None:
    """The evidence of a cell: by the map `kind`, or the native vector on the diagonal."""
    wanted = None if source == target else kind
    return next(
        (
            e
            for e in found
            if e.row.arm == "steered"
            and (e.row.source, e.row.target, e.row.map) == (source, target, wanted)
        ),
        None,
    )


def gains(found: Sequence[Evidence], kind: str, of: Literal["aqi", "gap"] = "aqi") -> Grid:
    """Gain over random of every cell, of aqi (points) or of the refusal gap (share)."""
    sources, targets = _axes([e.row for e in found])

    def cell(source: str, target: str) -> Cell:
        one = _find(found, source, target, kind)
        if one is None:
            return Cell(None, None, "widths differ" if kind == "identity" else "not measured")
        over = one.over_random if of == "aqi" else one.gap_over_random
        if over is not None:
            return Cell(over.interval.estimate, over.interval, "")
        if of == "gap" and one.random_gap is not None:  # nothing varies: a value, no interval
            return Cell(one.gap - one.random_gap, None, "")
        return Cell(None, None, "no random arm at this dose")

    return _grid(sources, targets, cell)


def efficiencies(found: Sequence[Evidence], kind: str, rows: Sequence[ArmRow], kept: Kept) -> Grid:
    """Share of the native refusal-gap gain that crossed; absent where the native one may be 0."""
    sources, targets = _axes([e.row for e in found])

    def cell(source: str, target: str) -> Cell:
        one, native = _find(found, source, target, kind), _find(found, target, target, kind)
        if one is None or native is None or source == target:
            reason = "the native vector itself" if source == target else "not measured"
            return Cell(None, None, reason)
        share = transfer_efficiency(one, native, rows, kept, "gap")
        value = None if share.interval is None else share.interval.estimate
        return Cell(value, share.interval, share.reason or "")

    return _grid(sources, targets, cell)


def cosines(rows: Sequence[ArmRow], kind: str) -> Grid:
    """Cosine of the moved vector to the target's own, per cell (rows of cross_arch)."""
    sources, targets = _axes(rows)
    values = {
        (r.source, r.target): r.cosine_native  # type: ignore[attr-defined]
        for r in rows
        if r.arm == "steered" and (r.map == kind or r.source == r.target)
    }
    return Grid(sources, targets, [[values.get((s, t)) for t in targets] for s in sources])


def efficiency_line(e: Evidence, of: str, share: Interval) -> str:
    """One sentence on what share of the native gain crossed."""
    return (
        f"{e.row.source} -> {e.row.target} by {e.row.map}: {of} efficiency {share.estimate:.2f} "
        f"[{share.low:.2f}, {share.high:.2f}] of the native gain over random"
    )


def over_shuffled(e: Evidence, found: Sequence[Evidence]) -> dict[str, float]:
    """A mapped arm minus the mean of the maps fitted without correspondence; empty without any.

    Above 0, and above the spread of the shuffled maps, is what the correspondence carried.
    """
    control = [
        c
        for c in found
        if c.row.arm == "shuffled" and (c.row.source, c.row.target) == (e.row.source, e.row.target)
    ]
    if not control:
        return {}
    return {
        "aqi_over_shuffled": e.row.aqi - float(np.mean([c.row.aqi for c in control])),
        "refusal_gap_over_shuffled": e.gap - float(np.mean([c.gap for c in control])),
        "shuffled_refusal_gap_max": max(c.gap for c in control),
    }


def shuffled_line(e: Evidence, compared: Mapping[str, float]) -> str:
    """One sentence on a map against those without correspondence."""
    return (
        f"{e.row.source} -> {e.row.target} by {e.row.map} minus shuffled maps: aqi "
        f"{compared['aqi_over_shuffled']:+.2f}, refusal gap "
        f"{compared['refusal_gap_over_shuffled']:+.2f} (highest shuffled "
        f"{compared['shuffled_refusal_gap_max']:+.2f})"
    )


def homophily_lines(rows: Sequence[ArmRow]) -> list[str]:
    """Homophily and weakest link of all targets, unsteered and steered by each source's vector."""
    targets = list(dict.fromkeys(r.target for r in rows))
    if len(targets) < 2:
        return []
    base = {r.target: r.aqi_axioms for r in rows if r.arm == "unsteered"}
    lines = [f"homophily unsteered {_homophily(base)}"]
    for source, kind in dict.fromkeys(
        (r.source, r.map) for r in rows if r.arm == "steered" and r.map
    ):
        after = {
            r.target: r.aqi_axioms
            for r in rows
            if r.arm == "steered" and r.source == source and r.map in (kind, None)
        }
        if set(after) == set(base):
            lines.append(f"homophily steered by {source}, {kind}: {_homophily(after)}")
    return lines


def _homophily(axioms: Mapping[str, tuple[float, ...]]) -> str:
    found = homophily(list(axioms.values()))
    weakest = min(range(len(AXIOMS)), key=lambda i: found.weakest_value[i])
    agent = list(axioms)[found.weakest_agent[weakest]]
    return (
        f"{found.value:.3f}, weakest link {agent} on {AXIOMS[weakest]} "
        f"({found.weakest_value[weakest]:.1f})"
    )
