"""Grids: does every cell show its value, and why it has none?"""

from __future__ import annotations

import itertools

from mahals.maths.stats.intervals import Interval
from mahals.reporting.plots.grids import Grid, grid_of, matrix
from tests.support.sample_figures import DEPTHS, HEAT, MODELS, WORDS, square


def test_heatmap_marks_the_weakest_model_of_every_axiom_and_hatches_absent_cells(figures) -> None:
    axes = figures["heatmap"].axes[0]
    marked = {
        (round(t.get_position()[1]), round(t.get_position()[0]))
        for t in axes.texts
        if "\u25bc" in t.get_text()
    }
    expected = set()
    for j in range(7):
        column = {i: v for i in range(8) if (v := HEAT[i][j]) is not None}
        expected.add((min(column, key=column.__getitem__), j))
    assert marked == expected
    hatched = [p for p in axes.patches if p.get_gid() == "absent"]
    assert [(p.get_y() + 0.5, p.get_x() + 0.5) for p in hatched] == [(2, 3)]
    assert bool(axes.images[0].get_array().mask[2, 3])


def test_matrix_outlines_the_diagonal_and_bolds_what_excludes_zero(figures) -> None:
    axes = figures["matrix"].axes[0]
    outlined = {round(p.get_x()) for p in axes.patches if p.get_gid() == "diagonal"}
    assert len(outlined) == 8
    grid = square(8, 19.0)
    bold = {
        (round(t.get_position()[1]), round(t.get_position()[0]))
        for t in axes.texts
        if t.get_weight() == "bold"
    }
    cells = itertools.product(range(8), range(8))
    assert bold == {(i, j) for i, j in cells if (v := grid.values[i][j]) is not None and abs(v) > 3}


def test_a_matrix_without_a_value_says_why_and_has_no_colour_bar(figures) -> None:
    assert len(figures["matrix"].axes) == 2 and len(figures["nothing"].axes) == 1
    assert any("the native gain may be 0" in t.get_text() for t in figures["nothing"].texts)


def test_a_matrix_writes_no_minus_before_nought() -> None:
    drawn = matrix(Grid(["a"], ["b"], [[-0.001]], [[-0.004]], [[0.004]]), WORDS, signed=True)
    assert {t.get_text() for t in drawn.axes[0].texts} == {"0.00", "[0.00, 0.00]"}


def test_table_shows_every_cell(figures) -> None:
    shown = [t.get_text() for t in figures["table"].axes[0].texts]
    assert sorted(shown) == sorted(
        ["model", "blocks", "width", *MODELS, *map(str, DEPTHS), *["128"] * 8]
    )


def test_a_grid_is_made_of_intervals_values_and_reasons() -> None:
    cells = (Interval(0.5, 0.25, 1.0, 0.1), 2.0, "not asked")
    grid = grid_of(["a"], ["x", "y", "z"], lambda i, j: cells[j])
    assert grid.values == [[0.5, 2.0, None]]
    assert (grid.lows, grid.highs) == ([[0.25, None, None]], [[1.0, None, None]])
    assert grid.reasons == [[None, None, "not asked"]]
