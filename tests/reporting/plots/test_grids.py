"""Grids: does every cell show its value, and why it has none?"""

from __future__ import annotations

from typing import Any

from scipy.stats import false_discovery_control

from mahals.maths.stats.intervals import Interval, t_interval
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


def bold(axes: Any) -> set[tuple[int, int]]:
    return {
        (round(t.get_position()[1]), round(t.get_position()[0]))
        for t in axes.texts
        if t.get_weight() == "bold"
    }


def test_matrix_outlines_the_diagonal_and_bolds_what_survives_correction(figures) -> None:
    """By scipy's own Benjamini-Hochberg; of 64 tests some exclude 0 that are no claim."""
    axes = figures["matrix"].axes[0]
    outlined = {round(p.get_x()) for p in axes.patches if p.get_gid() == "diagonal"}
    assert len(outlined) == 8
    grid = square(8, 19.0)
    places = [(i, j) for i in range(8) for j in range(8) if grid.ps[i][j] is not None]
    qs = false_discovery_control([grid.ps[i][j] for i, j in places])
    assert bold(axes) == {place for place, q in zip(places, qs, strict=True) if q < 0.05}
    assert any("Benjamini-Hochberg" in t.get_text() for t in figures["matrix"].texts)


def test_one_clear_cell_among_many_is_not_bold() -> None:
    """A single interval of twenty that excludes 0 is what chance alone gives."""
    cells = [t_interval(2.2 if j == 3 else 0.1, 1.0, 1000) for j in range(20)]
    assert cells[3].low > 0
    many = grid_of(["a"], [f"m{j}" for j in range(20)], lambda i, j: cells[j])
    drawn = matrix(many, WORDS, signed=True)
    assert bold(drawn.axes[0]) == set()
    assert not any("Bold" in t.get_text() for t in drawn.texts)
    one = matrix(grid_of(["a"], ["b"], lambda i, j: cells[3]), WORDS, signed=True)
    assert bold(one.axes[0]) == {(0, 0)}


def test_a_table_that_tests_nothing_has_nothing_in_bold() -> None:
    drawn = matrix(Grid(["a"], ["b"], [[9.0]], [[8.0]], [[10.0]]), WORDS, signed=True)
    assert bold(drawn.axes[0]) == set()


def test_the_colours_of_a_matrix_reach_as_far_as_its_intervals() -> None:
    """Noise around 0 is pale: its interval reaches both ends of the scale."""
    wide = Grid(["a"], ["b", "c"], [[0.02, -0.01]], [[-3.0, -2.0]], [[3.1, 2.0]])
    for signed, limits in ((True, (-3.1, 3.1)), (False, (-3.0, 3.1))):
        (image,) = matrix(wide, WORDS, signed=signed).axes[0].get_images()
        assert image.get_clim() == limits


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
    assert grid.ps == [[None, None, None]]  # an interval that is not symmetric tests nothing
