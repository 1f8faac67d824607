"""Grids: what does a table of values look like: axioms by models, sources by targets, facts?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mahals.maths.stats.controls import benjamini_hochberg
from mahals.maths.stats.intervals import Interval, p_of_zero
from mahals.reporting.plots.sheet import (  # fmt: skip
    INK,
    TEXT,
    Footnotes,
    Labels,
    as_floats,
    check_given,
    finish,
    sheet,
    style,
    uneven_lengths,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Cells = Sequence[Sequence[float | None]]
WEAKEST = "\u25bc"
ALPHA = 0.05  # q below which a cell is bold


@dataclass(frozen=True)
class Grid:
    """A table of measured values; None is absent, and `reasons` says why.

    `ps`: how likely a value so far from 0 is by chance, two-sided; None where that is not tested.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    values: Cells
    lows: Cells = ()
    highs: Cells = ()
    reasons: Sequence[Sequence[str | None]] = ()
    ps: Cells = ()

    def __post_init__(self) -> None:
        """Raises InputError unless every given table is rows x columns, at least 1 x 1."""
        check_given("rows", self.rows)
        check_given("columns", self.columns)
        for name in ("values", "lows", "highs", "reasons", "ps"):
            table: Sequence[Sequence[object]] = getattr(self, name)
            if name != "values" and not table:
                continue
            if len(table) != len(self.rows):
                raise uneven_lengths(name, len(self.rows), len(table))
            for row in table:
                if len(row) != len(self.columns):
                    raise uneven_lengths(name, len(self.columns), len(row))

    def reason(self, i: int, j: int) -> str:
        """Why the cell is absent; "not measured" where nothing was said."""
        return (self.reasons[i][j] if self.reasons else None) or "not measured"

    def claimed(self) -> frozenset[tuple[int, int]]:
        """The cells that differ from 0 at q < .05, by Benjamini and Hochberg over the whole table.

        None of a table without `ps`; one test among many is no claim.
        """
        tested = {
            (i, j): p for i, row in enumerate(self.ps) for j, p in enumerate(row) if p is not None
        }
        qs = benjamini_hochberg(list(tested.values()))
        return frozenset(place for place, q in zip(tested, qs, strict=True) if q < ALPHA)


def grid_of(
    rows: Sequence[str], columns: Sequence[str], cell: Callable[[int, int], Interval | float | str]
) -> Grid:
    """A table of what `cell` says of each place: an interval, a value, or why it is absent.

    An interval by t tests its own estimate against 0; one that is not symmetric tests nothing.
    """
    cells = [[cell(i, j) for j in range(len(columns))] for i in range(len(rows))]
    middle = [[c.estimate if isinstance(c, Interval) else c for c in row] for row in cells]
    return Grid(
        rows,
        columns,
        [[None if isinstance(c, str) else c for c in row] for row in middle],
        [[c.low if isinstance(c, Interval) else None for c in row] for row in cells],
        [[c.high if isinstance(c, Interval) else None for c in row] for row in cells],
        [[c if isinstance(c, str) else None for c in row] for row in cells],
        [[p_of_zero(c) if isinstance(c, Interval) else None for c in row] for row in cells],
    )


def axiom_heatmap(grid: Grid, labels: Labels, weakest: bool = True, signed: bool = False) -> Figure:
    """Models (rows) by axioms (columns); the weakest model of each axiom carries a triangle.

    `signed` centres the colours on 0. Absent cells are hatched, with a letter for the reason.
    """
    low = {j: _weakest(grid, j) for j in range(len(grid.columns))} if weakest else {}
    notes = Footnotes()
    figure, axes, image = _image(grid, signed, cell=(0.9, 0.36))
    for i, j, value in _present(grid, axes, notes):
        text = f"{value:z.1f}" + (f" {WEAKEST}" if low.get(j) == i else "")
        _write(axes, (i, j), text, low.get(j) == i, "center")
    note = f" {WEAKEST} weakest model of the axiom." if weakest else ""
    _bar(figure, axes, image, labels)
    return finish(figure, labels, note + notes.text(), {})


def matrix(grid: Grid, labels: Labels, signed: bool, form: str | None = None) -> Figure:
    """Rows by columns with the interval in each cell; the diagonal is outlined where names agree.

    Bold: the cell differs from 0 at q < .05 over the table (`Grid.claimed`). `signed` centres the
    colours on 0. `labels.other` names the rows and columns as "row axis | column axis". `form` is
    the format of the numbers; without one there are as many decimals as fit a cell.
    """
    notes, bold = Footnotes(), grid.claimed()
    form = form or _form(grid)
    name = max(len(line) for column in grid.columns for line in column.split("\n"))
    cell = (max(1.1, 0.09 * name), 0.52) if grid.lows else (max(0.8, 0.09 * name), 0.4)
    figure, axes, image = _image(grid, signed, cell)
    for i, j, value in _present(grid, axes, notes):
        low, high = (t[i][j] if t else None for t in (grid.lows, grid.highs))
        clear = (i, j) in bold
        if low is None or high is None:
            _write(axes, (i, j), format(value, form), clear, "center")
            continue
        _write(axes, (i, j), format(value, form), clear, "bottom")
        _write(axes, (i, j), f"[{low:{form}}, {high:{form}}]", False, "top")
    _outline(axes, grid)
    across, _, down = labels.other.partition("|")
    axes.set_ylabel(across.strip(), size=TEXT, color=INK)
    axes.set_xlabel(down.strip(), size=TEXT, color=INK)
    _bar(figure, axes, image, labels)
    note = " Bold: not 0 at q < .05 (Benjamini-Hochberg over the cells)." if bold else ""
    return finish(figure, labels, note + notes.text(), {})


def table_figure(columns: Mapping[str, Sequence[str]], labels: Labels) -> Figure:
    """Plain facts as a ruled table (model_dimensions); the first column is aligned left."""
    count = {len(cells) for cells in columns.values()}
    if len(count) != 1:
        raise uneven_lengths("table columns", max(count, default=0), min(count, default=0))
    rows = count.pop()
    figure = sheet(7.0, 0.28 * (rows + 1) + 0.1)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(rows + 0.6, -0.6))
    wide = [max(len(name), *(len(c) for c in cells)) + 3 for name, cells in columns.items()]
    right = [sum(wide[: k + 1]) / sum(wide) for k in range(len(wide))]
    for k, (name, cells) in enumerate(columns.items()):
        x, side = (0.005, "left") if k == 0 else (right[k] - 0.005, "right")
        for i, cell in enumerate((name, *cells)):
            weight = "bold" if i == 0 else "normal"
            axes.text(x, i, cell, size=TEXT, ha=side, va="center", color=INK, weight=weight)
    for y, width in ((-0.5, 1.2), (0.5, 0.6), (rows + 0.5, 1.2)):
        axes.axhline(y, color=INK, linewidth=width)
    return finish(figure, labels, "", {})


def _form(grid: Grid) -> str:
    """Two decimals below 10, one below 100, none above: what fits a cell."""
    tables = (grid.values, grid.lows, grid.highs)
    top = max((abs(x) for t in tables for row in t for x in row if x is not None), default=0.0)
    return "z.2f" if top < 9.995 else "z.1f" if top < 99.95 else "z.0f"


def _weakest(grid: Grid, column: int) -> int | None:
    found = [(row[column], i) for i, row in enumerate(grid.values)]
    present = [(value, i) for value, i in found if value is not None]
    return min(present)[1] if len(present) > 1 else None


def _image(grid: Grid, signed: bool, cell: tuple[float, float]) -> tuple[Figure, Any, Any]:
    import numpy as np

    names = max(len(name) for name in grid.rows)
    line = max(len(line) for name in grid.columns for line in wrapped(name).split("\n"))
    width = 0.85 + 0.075 * names + max(cell[0], 0.1 + 0.075 * line) * len(grid.columns)
    figure = sheet(max(4.5, width), 0.75 + cell[1] * len(grid.rows))
    axes = figure.add_subplot()
    values = np.array([as_floats(row) for row in grid.values])
    tables = (t for t in (grid.values, grid.lows, grid.highs) if t)
    known = np.array([as_floats(row) for table in tables for row in table])
    known = known[np.isfinite(known)]  # with the intervals: noise around 0 has a pale colour
    top = float(known.max()) if known.size else 1.0
    bottom = float(known.min()) if known.size else 0.0
    reach = max(abs(top), abs(bottom)) or 1.0
    limits = (-reach, reach) if signed else (min(0.0, bottom), max(top, min(0.0, bottom) + 1e-9))
    image = axes.imshow(
        np.ma.masked_invalid(values), aspect="auto", cmap="RdBu" if signed else "cividis",
        vmin=limits[0], vmax=limits[1],
    )  # fmt: skip
    axes.set_yticks(range(len(grid.rows)), list(grid.rows))
    axes.set_xticks(range(len(grid.columns)), [wrapped(name) for name in grid.columns])
    style(axes, "none")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    return figure, axes, image


def _present(grid: Grid, axes: Any, notes: Footnotes) -> list[tuple[int, int, float]]:
    """The cells that hold a value; the others are hatched."""
    from matplotlib.patches import Rectangle

    found = []
    for i, row in enumerate(grid.values):
        for j, value in enumerate(row):
            if value is not None:
                found.append((i, j, value))
                continue
            box = Rectangle((j - 0.5, i - 0.5), 1, 1, facecolor="white", edgecolor="#b0b0b0")
            box.set(hatch="////", linewidth=0, gid="absent")
            axes.add_patch(box)
            axes.text(
                j, i, f"({notes.mark(grid.reason(i, j))})", size=TEXT, ha="center", va="center",
                color=INK, style="italic", bbox={"fc": "white", "ec": "none", "pad": 1.5},
            )  # fmt: skip
    return found


def _write(axes: Any, cell: tuple[int, int], text: str, bold: bool, where: str) -> None:
    """Text in a cell, black or white, whichever stands out from the cell's colour."""
    i, j = cell
    image = axes.get_images()[0]
    red, green, blue, _ = image.cmap(image.norm(image.get_array()[i, j]))
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    ]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    colour = "black" if luminance > 0.179 else "white"  # equal contrast with both at .179
    weight = "bold" if bold else "normal"
    axes.text(j, i, text, size=TEXT, ha="center", va=where, color=colour, weight=weight)


def _outline(axes: Any, grid: Grid) -> None:
    from matplotlib.patches import Rectangle

    for i, name in enumerate(grid.rows):
        for j, other in enumerate(grid.columns):
            if name == other:
                box = Rectangle((j - 0.48, i - 0.47), 0.96, 0.94, fill=False, edgecolor=INK)
                box.set(linewidth=1.8, gid="diagonal")
                axes.add_patch(box)


def _bar(figure: Figure, axes: Any, image: Any, labels: Labels) -> None:
    if not image.get_array().count():
        return  # every cell is absent: there is nothing that a colour stands for
    bar = figure.colorbar(image, ax=axes, fraction=0.035, pad=0.015, aspect=25)
    bar.ax.tick_params(labelsize=TEXT, colors=INK, length=2)
    bar.outline.set_visible(False)
    bar.set_label(labels.value_axis(True), size=TEXT, color=INK)
