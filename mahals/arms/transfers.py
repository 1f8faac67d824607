"""What crossed from which source to which target: evidence into source-by-target grids?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from mahals.arms.evidence import Evidence, transfer_efficiency
from mahals.arms.kinds import ArmRow
from mahals.figures import Grid
from mahals.phase import Kept
from mahals.stats import Interval

Cell = tuple[Interval | None, str]  # the value, or why it is absent


def _grid(sources: Sequence[str], targets: Sequence[str], cell: Callable[[str, str], Cell]) -> Grid:
    cells = [[cell(s, t) for t in targets] for s in sources]
    return Grid(
        list(sources),
        list(targets),
        [[None if i is None else i.estimate for i, _ in row] for row in cells],
        [[None if i is None else i.low for i, _ in row] for row in cells],
        [[None if i is None else i.high for i, _ in row] for row in cells],
        [[None if i is not None else why for i, why in row] for row in cells],
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
            return None, "widths differ" if kind == "identity" else "not measured"
        over = one.over_random if of == "aqi" else one.gap_over_random
        return (None, "no arm varies") if over is None else (over.interval, "")

    return _grid(sources, targets, cell)


def efficiencies(found: Sequence[Evidence], kind: str, rows: Sequence[ArmRow], kept: Kept) -> Grid:
    """Share of the native refusal-gap gain that crossed; absent where the native one may be 0."""
    sources, targets = _axes([e.row for e in found])

    def cell(source: str, target: str) -> Cell:
        one, native = _find(found, source, target, kind), _find(found, target, target, kind)
        if one is None or native is None or source == target:
            return None, "the native vector itself" if source == target else "not measured"
        share = transfer_efficiency(one, native, rows, kept, "gap")
        return share.interval, share.reason or ""

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
